import assert from "node:assert/strict";
import { next, upgraded } from "../harness.mjs";

const COUNT = 10_000;

async function fromTheClient(socket, size) {
  const padding = "x".repeat(size);
  const before = (await socket.emitWithAck("items")).count;
  for (let number = 0; number < COUNT; number++) socket.emit("item", before + number, padding);
  // The question must not travel in the same body: 10,000 packets are the limit for one.
  await next(socket.io.engine, "drain");
  const items = await socket.emitWithAck("items");
  assert.deepEqual(items, { count: before + COUNT, ordered: true });
}

async function fromTheServer(socket, size) {
  const numbers = [];
  const listen = (number, padding) => {
    assert.equal(padding.length, size);
    numbers.push(number);
  };
  socket.on("item", listen);
  await socket.emitWithAck("burst", COUNT, size);
  socket.off("item", listen);
  assert.equal(numbers.length, COUNT);
  assert.ok(numbers.every((number, index) => number === index), "in order");
}

export const scenarios = {
  ten_thousand_from_the_client: {
    async run({ transport, open }) {
      const socket = await open();
      await fromTheClient(socket, 20);
      if (transport === "upgrade") await upgraded(socket);
      if (transport !== "polling") await fromTheClient(socket, 200);
    },
  },
  // While it is polling, 10,000 times 200 bytes at once would be more than what may wait for one
  // connection.
  ten_thousand_from_the_server: {
    async run({ transport, open }) {
      const socket = await open();
      await fromTheServer(socket, 20);
      if (transport === "upgrade") await upgraded(socket);
      if (transport !== "polling") await fromTheServer(socket, 200);
    },
  },
  handlers_that_sleep_start_in_order: {
    async run({ open }) {
      const socket = await open();
      const numbers = Array.from({ length: 100 }, (_, number) => number);
      const pause = () => Math.floor(Math.random() * 20);
      await Promise.all(numbers.map((number) => socket.emitWithAck("sleepy", number, pause())));
      assert.deepEqual(await socket.emitWithAck("started"), numbers);
    },
  },
};
