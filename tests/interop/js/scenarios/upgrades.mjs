import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { client, connected, next } from "../harness.mjs";
import { RawPolling } from "../raw-polling.mjs";

// How many clients are on their way at the same time.
const AT_ONCE = 50;
// What still goes through after the upgrade, in each direction at least.
const AFTERWARDS = 20;

// One client upgrades while numbered items go both ways; none may be lost or overtaken. Gives the
// number of items that it sent before it had upgraded.
async function upgradeUnderTraffic(url) {
  const socket = client(url, "upgrade");
  let received = 0;
  socket.on("item", (number) => {
    assert.equal(number, received, "in order from the server");
    received += 1;
  });
  await connected(socket);
  const streamed = socket.emitWithAck("stream");
  let before = 0;
  let after = 0;
  while (after < AFTERWARDS) {
    socket.emit("item", before + after, "");
    if (socket.io.engine.transport.name === "polling") before += 1;
    else after += 1;
    await sleep(1);
  }
  socket.emit("stop");
  assert.equal(await streamed, received, "whole from the server");
  const items = await socket.emitWithAck("items");
  assert.deepEqual(items, { count: before + after, ordered: true }, "from the client");
  socket.disconnect();
  return before;
}

// What a client may do with a WebSocket for a polling session instead of upgrading.
const FAILURES = {
  "closes at once": async (candidate) => {
    await next(candidate, "open");
    candidate.close();
  },
  "closes after the probe": async (candidate) => {
    await probe(candidate);
    candidate.close();
  },
  "cuts the line after the probe": async (candidate) => {
    await probe(candidate);
    candidate.terminate();
  },
  "never says that it upgrades": probe,
  "never says anything": (candidate) => next(candidate, "open"),
  "sends a message too early": async (candidate) => {
    await probe(candidate);
    candidate.send('42["echo","not yet"]');
  },
  "sends garbage": async (candidate) => {
    await next(candidate, "open");
    candidate.send("\u{1f600}");
  },
  "sends binary garbage": async (candidate) => {
    await probe(candidate);
    candidate.send(Buffer.from([1, 2, 3]));
  },
  "breaks the WebSocket protocol": async (candidate) => {
    await probe(candidate);
    candidate._socket.write(Buffer.from([0xff, 0xff, 0xff, 0xff]));
  },
};

async function probe(candidate) {
  await next(candidate, "open");
  candidate.send("2probe");
  const [answer] = await next(candidate, "message");
  assert.equal(answer.toString(), "3probe");
}

async function echoes(session, text) {
  await session.send(`42["echo","${text}"]`);
  assert.equal(await session.receive(), `42["echo","${text}"]`);
}

export const scenarios = {
  upgrade_under_traffic: {
    transports: ["upgrade"],
    async run({ server, amount = 2_000 }) {
      let left = amount;
      let before = 0;
      const worker = async () => {
        while (left-- > 0) {
          const sent = await upgradeUnderTraffic(server.url);
          before += sent;
        }
      };
      await Promise.all(Array.from({ length: AT_ONCE }, worker));
      assert.ok(before >= amount, `the traffic began too late: ${before} items`);
    },
  },
  an_abandoned_upgrade_leaves_polling_working: {
    transports: ["polling"],
    server: { UPGRADE_TIMEOUT: 300 },
    async run({ server }) {
      for (const [name, fail] of Object.entries(FAILURES)) {
        const session = await RawPolling.open(server.url);
        const candidate = session.candidate();
        candidate.on("error", () => {});
        const closed = next(candidate, "close");
        await fail(candidate);
        await echoes(session, `while it ${name}`);
        await closed;
        await echoes(session, `after it ${name}`);

        // And the next one may still upgrade.
        const second = session.candidate();
        await probe(second);
        second.send("5");
        second.send('42["echo","upgraded"]');
        const [message] = await next(second, "message");
        assert.equal(message.toString(), '42["echo","upgraded"]');
        second.close();
      }
    },
  },
};
