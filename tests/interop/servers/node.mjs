// The official server as the client's scenarios need it, in its version 4.8 or 2.5:
//
//   node node.mjs 4
//   node node.mjs 2
//
// `python.py` beside it and `tests/client/ours.rs` of crates/contract-servers do the same. Environment:
// PORT, and for TLS the files TLS_CERT and TLS_KEY. It prints `READY <url>`.
//
// In `/`:
//   echo (...args)             comes back as an event, and as the acknowledgement
//   ask (event, wait, ...args) asks the client, and acknowledges with what it answers within `wait`
//   deaf ()                    is never acknowledged
//   flaky (key, losses)        is acknowledged with its number, but not the first `losses` times
//   log (prefix)               which keys have come with `flaky`
//   items (id, first, count)   sends `item` so often with its number to the socket with that id, here or away
//   reachable (id)             whether it can be written to, on polling: whether its GET waits
//   id                         the socket's id
//   leave ()                   takes the socket out
// In `/second` and `/third`: where. In `/guarded`, whose token has to begin with `good`:
//   tokens (prefix)            which tokens were presented
import { readFileSync } from "node:fs";
import { createServer } from "node:http";
import { createServer as createSecureServer } from "node:https";
import { Server } from "socket.io";
import Server2 from "socket.io-2";

const old = process.argv[2] === "2";
const { TLS_CERT, TLS_KEY } = process.env;
const http = TLS_CERT
  ? createSecureServer({ cert: readFileSync(TLS_CERT), key: readFileSync(TLS_KEY) })
  : createServer();
const io = old ? new Server2(http) : new Server(http, { connectionStateRecovery: {} });

const log = [];
io.on("connection", (socket) => {
  socket.on("echo", (...args) => {
    const answer = typeof args.at(-1) === "function" ? args.pop() : () => {};
    socket.emit("echo", ...args);
    answer(...args);
  });
  socket.on("ask", (event, wait, ...args) => {
    const answer = args.pop();
    const timer = setTimeout(answer, wait, "nobody answers");
    socket.emit(event, ...args, (...answered) => {
      clearTimeout(timer);
      answer(...answered);
    });
  });
  socket.on("deaf", () => {});
  socket.on("flaky", (key, losses, answer) => {
    const number = log.push(key) && log.filter((other) => other === key).length;
    if (number > losses) answer(number);
  });
  socket.on("log", (prefix, answer) => answer(log.filter((key) => key.startsWith(prefix))));
  socket.on("items", (id, first, count, answer) => {
    for (let number = first; number < first + count; number++) io.to(id).emit("item", number);
    answer();
  });
  socket.on("reachable", (id, answer) => answer(io.sockets.sockets.get(id)?.conn.transport.writable === true));
  socket.on("id", (answer) => answer(socket.id));
  socket.on("leave", () => socket.disconnect());
});

for (const name of ["/second", "/third"]) {
  io.of(name).on("connection", (socket) => socket.on("where", (answer) => answer(name)));
}

const tokens = [];
io.of("/guarded").use((socket, next) => {
  const { token } = old ? socket.handshake.query : socket.handshake.auth;
  tokens.push(token);
  if (token?.startsWith("good")) return next();
  next(Object.assign(new Error("not welcome"), { data: { code: 401, hint: ["ask", "again"] } }));
});
io.of("/guarded").on("connection", (socket) => {
  socket.on("tokens", (prefix, answer) => answer(tokens.filter((one) => one.startsWith(prefix))));
});

http.listen(Number(process.env.PORT ?? 0), "127.0.0.1", () => {
  console.log(`READY ${TLS_CERT ? "https" : "http"}://127.0.0.1:${http.address().port}`);
});
