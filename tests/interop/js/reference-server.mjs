// The official server with the same events as src/bin/interop-server.rs: the oracle that says
// whether a scenario asks for the right thing. Environment: PORT, for TLS the files TLS_CERT and
// TLS_KEY, in milliseconds PING_INTERVAL, PING_TIMEOUT, UPGRADE_TIMEOUT; CODEC=msgpack, EIO3=1,
// RECOVERY=1 and DEFLATE=1.
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { setTimeout as sleep } from "node:timers/promises";
import { Server } from "socket.io";
import parser from "socket.io-msgpack-parser";

const number = (name, otherwise) => Number(process.env[name] ?? otherwise);
const { TLS_CERT, TLS_KEY } = process.env;
const http = TLS_CERT
  ? createSecureServer({ cert: readFileSync(TLS_CERT), key: readFileSync(TLS_KEY) })
  : createServer();
const io = new Server(http, {
  pingInterval: number("PING_INTERVAL", 25_000),
  pingTimeout: number("PING_TIMEOUT", 20_000),
  upgradeTimeout: number("UPGRADE_TIMEOUT", 10_000),
  allowEIO3: process.env.EIO3 === "1",
  ...(process.env.RECOVERY === "1" ? { connectionStateRecovery: {} } : {}),
  ...(process.env.CODEC === "msgpack" ? { parser } : {}),
  ...(process.env.DEFLATE === "1" ? { perMessageDeflate: { serverNoContextTakeover: true } } : {}),
});

function reportDisconnects(namespace) {
  namespace.on("connection", (socket) => {
    socket.on("disconnect", (reason) => {
      console.log(`DISCONNECT ${namespace.name} ${socket.id} ${reason}`);
    });
  });
}

for (const name of ["/", "/second", "/private"]) reportDisconnects(io.of(name));

io.on("connection", (socket) => {
  // Payloads.
  socket.on("echo", (...args) => socket.emit("echo", ...args));
  socket.on("answer", (...args) => args.pop()(...args));
  socket.on("ask", async (...args) => {
    const answered = args.pop();
    socket.emit("question", ...args, (...answer) => answered(...answer));
  });
  socket.on("header", (name, answer) => answer(socket.handshake.headers[name] ?? null));

  // Rooms. A target is `{ room }` or `{ socket }`; without one, `send` goes to all but the sender.
  const names = (targets) => targets.map(({ room, socket }) => room ?? socket);
  socket.on("join", async (room, answer) => answer(await socket.join(room)));
  socket.on("send", (targets, except, text, answer) => {
    socket.to(names(targets)).except(names(except)).emit("news", text);
    answer();
  });

  // Order, in both directions: `item` carries its number and some padding.
  const items = { count: 0, ordered: true };
  socket.on("item", (number) => {
    items.ordered &&= number === items.count;
    items.count += 1;
  });
  socket.on("items", (answer) => answer(items));
  socket.on("burst", (count, size, answer) => {
    for (let number = 0; number < count; number++) socket.emit("item", number, "x".repeat(size));
    answer();
  });
  let stopped = false;
  socket.on("stop", () => (stopped = true));
  socket.on("stream", async (answer) => {
    let number = 0;
    for (; !stopped; number++) {
      socket.emit("item", number, "");
      await sleep(1);
    }
    answer(number);
  });
  const started = [];
  socket.on("sleepy", async (number, pause, answer) => {
    started.push(number);
    await sleep(pause);
    answer();
  });
  socket.on("started", (answer) => answer(started));

  socket.on("throw out", (close) => socket.disconnect(close));
});

io.of("/second").on("connection", (socket) => {
  socket.on("where", (answer) => answer("/second"));
});

io.of("/private").use((socket, next) => {
  const { token } = socket.handshake.auth;
  if (token === "good") return next();
  next(Object.assign(new Error("not welcome"), { data: { code: 401, hint: ["ask", "again"] } }));
});
io.of("/private").on("connection", (socket) => {
  socket.on("where", (answer) => answer("/private"));
});

process.on("SIGTERM", () => io.close(() => process.exit(0)));
http.listen(number("PORT", 0), "127.0.0.1", () => {
  console.log(`READY ${TLS_CERT ? "https" : "http"}://127.0.0.1:${http.address().port}`);
});
