// The official clients against the servers for their own test suites:
//
//   node support.mjs socket   socket.io-client; INTEROP_SERVER is client-support-socket
//   node support.mjs engine   engine.io-client; INTEROP_SERVER is client-support-engine
import assert from "node:assert/strict";
import { Socket } from "engine.io-client";
import { client, collect, connected, next, Server, TRANSPORTS, upgraded, waiting } from "./harness.mjs";

const DEADLINE = 50_000;
const DATE = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;
const BINARY = Buffer.from("asdfasdf");

const SUITES = { socket, engine };

const server = await Server.start();
setTimeout(() => {
  console.error(`still waiting for: ${[...waiting].join(", ")}`);
  server.kill();
  process.exit(1);
}, DEADLINE);
try {
  const suite = SUITES[process.argv[2]];
  for (const transport of Object.keys(TRANSPORTS)) {
    await suite(transport);
    console.log("ok", process.argv[2], transport);
  }
} finally {
  server.kill();
}
process.exit(0);

async function socket(transport) {
  const open = (namespace = "", options = {}) => {
    return client(server.url + namespace, transport, options);
  };
  const main = await connected(open());
  if (transport === "upgrade") await upgraded(main);
  await answers(main);
  await takesBinary(main);
  await tellsHandshakes(open);
  await accepts(open);
  await recovers(main);
  main.disconnect();
}

async function answers(socket) {
  const ask = async (question, answer) => {
    const answered = next(socket, answer);
    socket.emit(question);
    return answered;
  };
  await ask("hi", "hi");
  for (const value of ["text", null, { a: [1] }]) {
    assert.deepEqual(await socket.emitWithAck("echo", value), value);
  }
  socket.once("ack", (answer) => answer(5, { test: true }));
  await ask("ack", "got it");
  assert.match(await socket.emitWithAck("getAckDate", { test: true }), DATE);
  assert.match((await ask("getDate", "takeDate"))[0], DATE);
  assert.match((await ask("getDateObj", "takeDateObj"))[0].date, DATE);
  assert.equal((await ask("false", "false"))[0], false);
  const texts = collect(socket, "takeUtf8", 5);
  socket.emit("getUtf8");
  const dash = "utf8 \u2014 string";
  const expected = [
    "\u3066\u3059\u3068",
    "\u042f \u0411 \u0413 \u0414 \u0416 \u0419",
    "\u00c4 \u00e4 \u00dc \u00fc \u00df",
    dash,
    dash,
  ];
  assert.deepEqual(
    (await texts).map(([text]) => text),
    expected,
  );
  assert.equal(await socket.emitWithAck("getId"), socket.id);
  await assert.rejects(socket.timeout(50).emitWithAck("unknown"), /timed out/);
}

async function takesBinary(socket) {
  const ask = async (answer, ...events) => {
    const answered = next(socket, answer);
    for (const event of events) socket.emit(...event);
    return (await answered)[0];
  };
  assert.deepEqual(await ask("doge", ["doge"]), BINARY);
  assert.deepEqual(await ask("takebin", ["getbin"]), BINARY);
  await ask("buffack", ["buffa", BINARY]);
  await ask("abuff2-ack", ["abuff1", BINARY], ["abuff2", BINARY]);
  await ask("back", ["blob", BINARY]);
  await ask("blob3-ack", ["blob1", BINARY], ["blob2", "second"], ["blob3", BINARY]);
  const object = { hello: "lol", message: BINARY, goodbye: "gotcha" };
  await ask("jsonbuff-ack", ["jsonbuff", object]);
  await ask("jsonblob-ack", ["jsonblob", object]);
}

async function tellsHandshakes(open) {
  const options = { query: { key: "v &" }, auth: { token: "abc" }, extraHeaders: { "x-key": "1" } };
  const greeted = open("/abc", options);
  const [greeting] = await next(greeted, "handshake");
  const main = await connected(open("", options));
  for (const handshake of [greeting, await main.emitWithAck("getHandshake")]) {
    assert.equal(handshake.query.key, "v &");
    assert.equal(handshake.headers["x-key"], "1");
    assert.deepEqual(handshake.auth, { token: "abc" });
    assert.equal(handshake.address, "127.0.0.1");
  }
  main.disconnect();
  greeted.disconnect();
}

async function accepts(open) {
  for (const namespace of ["/timeout_socket", "/valid", "/asd"]) {
    (await connected(open(namespace))).disconnect();
  }
  const foo = await connected(open("/foo"));
  assert.equal(await foo.emitWithAck("getId"), foo.id);
  foo.disconnect();
  for (const [namespace, options, message] of [
    ["/no", {}, "Auth failed (custom namespace)"],
    ["/other", {}, "Invalid namespace"],
    ["", { query: { fail: true } }, "Auth failed (main namespace)"],
  ]) {
    const socket = open(namespace, options);
    const [error] = await next(socket, "connect_error");
    assert.equal(error.message, message);
    socket.disconnect();
  }
}

async function recovers(socket) {
  const { id } = socket;
  const lost = next(socket, "disconnect");
  socket.io.engine.close();
  await lost;
  socket.connect();
  await connected(socket);
  assert.equal(socket.recovered, true);
  assert.equal(socket.id, id);
}

async function engine(transport) {
  const open = (options = {}) => {
    const transports = TRANSPORTS[transport];
    return new Socket(server.url, { transports, path: "/engine.io/", ...options });
  };
  // Its first message comes behind `open`, before anybody could wait for it afterwards.
  const greeted = async (options) => {
    const socket = open(options);
    assert.deepEqual(await next(socket, "message"), ["hi"]);
    if (transport === "upgrade" && socket.transport.name !== "websocket") {
      await next(socket, "upgrade");
    }
    return socket;
  };
  const ask = async (socket, message) => {
    const answered = next(socket, "message");
    socket.send(message);
    return (await answered)[0];
  };

  const socket = await greeted();
  assert.deepEqual(await ask(socket, "give binary"), Buffer.from([0, 1, 2, 3, 4]));
  const cyrillic = "пойду спать всем спокойной ночи";
  assert.equal(await ask(socket, "give utf8"), cyrillic);
  assert.equal(await ask(socket, cyrillic), cyrillic);
  assert.deepEqual(await ask(socket, BINARY), BINARY);

  const refused = open({ query: { deny: 1 } });
  assert.equal((await next(refused, "error"))[0].type, "TransportError");

  if (transport === "polling") {
    const curious = await greeted({ withCredentials: true, extraHeaders: { "x-key": "1" } });
    const headers = JSON.parse(await ask(curious, "sendHeaders"));
    assert.equal(headers["x-key"], "1");
    assert.equal(headers.cookie, "1=1; 2=2");
    curious.close();
  }
  await isTooMuch(socket, transport);
}

async function isTooMuch(socket, transport) {
  const closed = next(socket, "close");
  socket.send("a".repeat(100));
  const [reason, details] = await closed;
  if (transport === "polling") {
    assert.equal(reason, "transport error");
    assert.equal(details.description, 413);
    assert.equal(details.context.responseText, "");
  } else {
    assert.equal(reason, "transport close");
    assert.equal(details.context.code, 1009);
    assert.equal(details.context.reason, "");
  }
}
