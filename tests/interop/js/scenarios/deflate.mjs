// The official client with permessage-deflate, whose WebSocket refuses what was not negotiated.
import assert from "node:assert/strict";
import { next, upgraded } from "../harness.mjs";

const server = { DEFLATE: "1" };
const transports = ["websocket", "upgrade"];
const options = { perMessageDeflate: { threshold: 1024 } };

// The bytes of the connection below the WebSocket, and what was negotiated for it.
function wire(socket) {
  const { ws } = socket.io.engine.transport;
  return { extensions: ws.extensions, read: () => ws._socket.bytesRead };
}

export const scenarios = {
  deflated_payloads: {
    server,
    transports,
    async run({ transport, open }) {
      const socket = await open(options);
      if (transport === "upgrade") await upgraded(socket);
      const { extensions, read } = wire(socket);
      assert.equal(extensions, "permessage-deflate");
      const echo = async (...args) => {
        const before = read();
        socket.emit("echo", ...args);
        assert.deepEqual(await next(socket, "echo"), args);
        return read() - before;
      };
      const text = "text that repeats itself \u20ac \u{1f600} ".repeat(1_000);
      const binary = Buffer.alloc(100_000, "abc");
      assert.ok((await echo(text)) < 2_000);
      assert.ok((await echo(binary)) < 2_000);
      assert.ok((await echo({ text, list: [binary, Buffer.alloc(0)] }, binary)) < 5_000);
      // Too short to be compressed, and too random to become smaller.
      assert.ok((await echo("s".repeat(900))) > 900);
      const random = Uint8Array.from({ length: 20_000 }, () => Math.random() * 256);
      assert.ok((await echo(Buffer.from(random))) > 20_000);
      for (let size = 1_000; size < 1_050; size += 1) await echo("x".repeat(size));
    },
  },
  deflated_broadcasts: {
    server,
    transports,
    async run({ transport, open }) {
      const plain = { perMessageDeflate: false };
      const clients = await Promise.all([options, options, plain, plain].map((each) => open(each)));
      if (transport === "upgrade") await Promise.all(clients.map(upgraded));
      const [sender, ...others] = clients;
      const deflates = clients.map((client) => wire(client).extensions !== "");
      assert.deepEqual(deflates, [true, true, false, false]);
      const text = "news ".repeat(4_000);
      const arrived = others.map((client) => next(client, "news"));
      sender.emit("send", [], [], text);
      for (const args of await Promise.all(arrived)) assert.deepEqual(args, [text]);
    },
  },
};
