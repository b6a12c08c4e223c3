// What every generation of the client does on every transport. Each step has a client of its own,
// which has to be at its transport in the end.
import assert from "node:assert/strict";
import { next, Server } from "../harness.mjs";
import { call, exchange, withBuffers } from "./clients.mjs";

export const STEPS = {
  async connect({ client, server }) {
    const socket = await client.open(client.manager(server.url));
    const id = client.id(socket);
    assert.equal(typeof id, "string");
    await client.arrive();
    socket.disconnect();
    assert.deepEqual(await server.reasons(id), ["client namespace disconnect"]);
  },

  async refuse({ client, server }) {
    for (const auth of [{ token: "bad" }, {}]) {
      const refused = client.join(client.manager(server.url), "/private", auth);
      const data = await client.refused(refused);
      assert.deepEqual(data, { code: 401, hint: ["ask", "again"] });
      assert.equal(refused.connected, false);
    }
    await client.open(client.manager(server.url), "/private", { token: "good" });
  },

  async echo({ client, server }) {
    const socket = await client.open(client.manager(server.url));
    const lists = [
      [],
      ["text", 1, -2.5, true, null, ["list", []], { key: {} }],
      ["\u00fc \u20ac \u4f60\u597d \u{1f600}", "\u0000\u001e\u2028"],
      [{ "\u043a\u043b\u044e\u0447": "\u{1f600}".repeat(20_000) }],
    ];
    assert.deepEqual(await exchange(socket, "echo", lists), lists);
  },

  async binary({ client, server }) {
    const socket = await client.open(client.manager(server.url));
    const lists = [
      [Buffer.from([0, 1, 30, 254, 255])],
      [Buffer.from([1]), "between", Buffer.from([2]), [{ deep: { er: Buffer.from([4]) } }]],
      [{ file: Buffer.alloc(300_000, "ab"), name: "\u00fc.bin" }, Buffer.alloc(0)],
    ];
    assert.deepEqual(await exchange(socket, "echo", lists), lists);
  },

  async acks({ client, server }) {
    const socket = await client.open(client.manager(server.url));
    for (const list of [[], ["one"], ["one", 2, { three: Buffer.from([3]) }]]) {
      assert.deepEqual((await call(socket, "answer", ...list)).map(withBuffers), list);
    }
    socket.on("question", (value, answer) => answer(value, Buffer.from([7])));
    for (const value of ["one", { two: Buffer.from([2]) }]) {
      const answer = await call(socket, "ask", value);
      assert.deepEqual(answer.map(withBuffers), [value, Buffer.from([7])]);
    }
  },

  async rooms({ client, server }) {
    const [sender, both, red] = await Promise.all(
      [["red"], ["red", "blue"], ["red"]].map(async (rooms) => {
        const socket = await client.open(client.manager(server.url));
        for (const room of rooms) await call(socket, "join", room);
        const news = [];
        socket.on("news", (text) => news.push(text));
        return { socket, news };
      }),
    );
    const [isRed, isBlue] = [{ room: "red" }, { room: "blue" }];
    await call(sender.socket, "send", [isRed, isBlue], [], "one");
    await call(sender.socket, "send", [isRed], [isBlue], "two");
    await call(sender.socket, "send", [], [], "three");
    // What was sent before an answer has come before it.
    const members = [sender, both, red];
    for (const { socket } of members) await call(socket, "answer", null);
    const expected = [[], ["one", "three"], ["one", "two", "three"]];
    assert.deepEqual(
      members.map(({ news }) => news),
      expected,
    );
  },

  async namespaces({ client, server }) {
    const manager = client.manager(server.url);
    const main = await client.open(manager);
    const second = await client.open(manager, "/second");
    const hidden = await client.open(manager, "/private", { token: "good" });
    const ids = [main, second, hidden].map((socket) => client.id(socket));
    assert.equal(new Set(ids).size, 3);
    assert.deepEqual(await call(second, "where"), ["/second"]);
    assert.deepEqual(await call(hidden, "where"), ["/private"]);
    assert.deepEqual(await call(main, "answer", "main"), ["main"]);
    // Leaving one leaves the others alone.
    second.disconnect();
    assert.deepEqual(await server.reasons(ids[1], "/second"), ["client namespace disconnect"]);
    assert.deepEqual(await call(hidden, "where"), ["/private"]);
  },

  async reconnect({ client, server }) {
    const manager = client.manager(server.url, { reconnection: true, reconnectionDelay: 50 });
    const socket = await client.open(manager);
    await client.arrive();
    const { id } = socket;
    const back = next(socket, "connect");
    await server.restart();
    await back;
    assert.notEqual(socket.id, id);
    assert.deepEqual(await call(socket, "answer", "again"), ["again"]);
  },

  // The server is another one, because with recovery every event has one more argument: its offset.
  async recover({ client }) {
    const server = await Server.start({ RECOVERY: 1 });
    try {
      await recovers(client, server);
    } finally {
      client.close();
      server.kill();
    }
  },
};

async function recovers(client, server) {
  const socket = await client.open(client.manager(server.url));
  await client.arrive();
  await call(socket, "join", "red");
  // It brings an offset.
  const [[text]] = await exchange(socket, "echo", [["before"]]);
  assert.equal(text, "before");
  const { id } = socket;
  const news = [];
  socket.on("news", (text) => news.push(text));

  const lost = next(socket, "disconnect");
  socket.io.engine.close();
  await lost;
  assert.equal((await server.reasons(id)).length, 1);
  const other = await client.open(client.manager(server.url));
  await call(other, "send", [{ room: "red" }], [], "missed");

  const back = client.joined(socket);
  socket.connect();
  await back;
  assert.equal(socket.recovered, true);
  assert.equal(socket.id, id);
  await call(other, "send", [{ room: "red" }], [], "later");
  await call(socket, "answer", null);
  assert.deepEqual(news, ["missed", "later"]);
}
