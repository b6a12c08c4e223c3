import assert from "node:assert/strict";

export const scenarios = {
  the_server_acknowledges: {
    async run({ open }) {
      const socket = await open();
      assert.equal(await socket.emitWithAck("answer", "one"), "one");
      const several = new Promise((resolve) => {
        socket.emit("answer", "one", 2, { three: 3 }, (...args) => resolve(args));
      });
      assert.deepEqual(await several, ["one", 2, { three: 3 }]);
      const none = new Promise((resolve) => socket.emit("answer", (...args) => resolve(args)));
      assert.deepEqual(await none, []);
      const binary = Buffer.from("\u0000\u00ff", "latin1");
      assert.deepEqual(await socket.emitWithAck("answer", { binary }), { binary });
    },
  },
  the_client_acknowledges: {
    async run({ open }) {
      const socket = await open();
      socket.on("question", (value, answer) => answer({ value, binary: Buffer.from([7]) }));
      for (const value of ["one", 2, { three: Buffer.from([3]) }]) {
        const answer = await socket.emitWithAck("ask", value);
        assert.deepEqual(answer, { value, binary: Buffer.from([7]) });
      }
    },
  },
  acknowledgements_find_their_events: {
    async run({ open }) {
      const socket = await open();
      socket.on("question", (value, answer) => answer(value));
      const values = Array.from({ length: 100 }, (_, n) => n);
      const ask = (value) => socket.emitWithAck(value % 2 ? "ask" : "answer", value);
      assert.deepEqual(await Promise.all(values.map(ask)), values);
    },
  },
};
