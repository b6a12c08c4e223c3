// The official client with the official MessagePack parser. Numbers beyond 2^64 are left out: that
// parser cannot write them.
import assert from "node:assert/strict";
import parser from "socket.io-msgpack-parser";
import { client, collect, next } from "../harness.mjs";

const server = { CODEC: "msgpack" };

async function echoes(socket, ...args) {
  socket.emit("echo", ...args);
  assert.deepEqual(await next(socket, "echo"), args);
}

async function refused(url, transport, options) {
  const socket = client(url, transport, { parser, ...options });
  const [error] = await next(socket, "connect_error");
  socket.disconnect();
  return error;
}

export const scenarios = {
  msgpack_payloads: {
    server,
    async run({ open }) {
      const socket = await open({ parser });
      await echoes(socket);
      await echoes(socket, "text", 1, -2.5, true, null, ["list", []], { key: { nested: {} } });
      await echoes(socket, "\u00fc \u20ac \u4f60\u597d \u{1f600} e\u0301\u0000\u001e");
      await echoes(socket, { "\u043a\u043b\u044e\u0447": "\ud83d\udc4d\ud83c\udffd" });
      await echoes(socket, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER, 1e-7, 1 << 20, -129);
      const binary = (size) => Buffer.alloc(size, 7);
      await echoes(socket, { deep: [binary(3), { er: binary(0) }] }, binary(300), binary(70_000));
      await echoes(socket, ...Array.from({ length: 20 }, (_, index) => binary(index)));
      await echoes(socket, "x".repeat(200), Array.from({ length: 1_000 }, (_, index) => index));

      // What has a form of its own in MessagePack comes back in the one that JSON has.
      socket.emit("echo", new Date(0), undefined, new Uint8Array([1, 2]).buffer);
      const [date, missing, buffer] = await next(socket, "echo");
      assert.equal(date, "1970-01-01T00:00:00.000Z");
      assert.equal(missing, null);
      assert.deepEqual(buffer, Buffer.from([1, 2]));
    },
  },
  msgpack_acknowledgements: {
    server,
    async run({ open }) {
      const socket = await open({ parser });
      const data = { list: [Buffer.from([1, 2, 3])] };
      assert.deepEqual(await socket.emitWithAck("answer", data), data);
      const none = new Promise((resolve) => socket.emit("answer", (...args) => resolve(args)));
      assert.deepEqual(await none, []);
      socket.on("question", (question, answer) => answer({ question }));
      assert.deepEqual(await socket.emitWithAck("ask", data), { question: data });
    },
  },
  msgpack_refusals: {
    server,
    async run({ server, transport, open }) {
      const unknown = await refused(`${server.url}/unknown`, transport);
      assert.equal(unknown.message, "Invalid namespace");
      const error = await refused(`${server.url}/private`, transport, { auth: { token: "bad" } });
      assert.equal(error.message, "not welcome");
      assert.deepEqual(error.data, { code: 401, hint: ["ask", "again"] });
      const socket = await open({ parser, auth: { token: "good" } }, "/private");
      assert.equal(await socket.emitWithAck("where"), "/private");
    },
  },
  msgpack_rooms: {
    server,
    async run({ open }) {
      const [sender, member, stranger] = await Promise.all([1, 2, 3].map(() => open({ parser })));
      await member.emitWithAck("join", "r\u00fc");
      stranger.on("news", () => assert.fail("a stranger got the news"));
      const news = collect(member, "news", 2);
      for (const text of ["one", "\u{1f600}"]) {
        await sender.emitWithAck("send", [{ room: "r\u00fc" }], [], text);
      }
      assert.deepEqual(await news, [["one"], ["\u{1f600}"]]);
      await stranger.emitWithAck("answer");
    },
  },
};
