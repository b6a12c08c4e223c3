// The official client whose connection is cut, and which is let back as who it was. The namespaces
// `/watched` and `/room-{number}` remember what happened to the clients of a name (src/watched.rs).
import assert from "node:assert/strict";
import net from "node:net";
import { once } from "node:events";
import parser from "socket.io-msgpack-parser";
import { client, connected, next, upgraded, waitFor } from "../harness.mjs";

const server = { RECOVERY: "1" };

// All `news`, without their offsets.
function heard(socket) {
  const news = [];
  socket.on("news", (...args) => news.push(args.slice(0, -1)));
  return news;
}

async function cut(socket) {
  const lost = next(socket, "disconnect");
  socket.io.engine.close();
  await lost;
}

async function comeBack(socket) {
  socket.connect();
  await connected(socket);
  assert.equal(socket.recovered, true);
}

// Everything that the server has sent before has been heard when it answers this. Without it a test
// could close a connection in the turn in which its client reads from it, and the client would keep
// what it has just read until it is back, and then hand it out beside what it asks for again.
async function story(socket) {
  return socket.emitWithAck("story");
}

async function arrived(socket, transport) {
  return transport === "upgrade" ? upgraded(socket) : socket;
}

export const scenarios = {
  recovery_from_a_quiet_start_again_and_again: {
    server,
    async run({ server, open, transport }) {
      const speaker = await open();
      const tell = (...news) => speaker.emitWithAck("tell", "/watched", false, news);
      const socket = await open({ auth: { name: "ann" } }, "/watched");
      const { id } = socket;
      const news = heard(socket);
      await arrived(socket, transport);
      // No event has come before the first cut, and nothing is missed.
      await cut(socket);
      await comeBack(socket);
      for (let round = 0; round < 5; round++) {
        await cut(socket);
        if (round !== 2) await tell("while away", round);
        await comeBack(socket);
        assert.equal(socket.id, id);
        if (round === 3) continue;
        await tell("while there", round);
        await story(socket);
      }
      assert.equal((await story(socket)).filter((what) => what === "resume").length, 6);
      const expected = [0, 1, 2, 3, 4].flatMap((round) => [
        ...(round === 2 ? [] : [["while away", round]]),
        ...(round === 3 ? [] : [["while there", round]]),
      ]);
      assert.deepEqual(news, expected);
    },
  },
  recovery_runs_auth_and_middleware_again: {
    server,
    async run({ open }) {
      const speaker = await open();
      const socket = await open({ auth: { name: "bob" } }, "/watched");
      const news = heard(socket);
      assert.equal(await socket.emitWithAck("say", "one"), "one in watched");
      await cut(socket);
      await speaker.emitWithAck("tell", "/watched", false, ["missed"]);
      // Waits in the client until it is back.
      const said = socket.emitWithAck("say", "two");
      await comeBack(socket);
      assert.equal(await said, "two in watched");
      const expected = ["auth", "connect", "screened", "auth", "resume", "screened"];
      assert.deepEqual(await story(socket), expected);
      assert.deepEqual(news, [["missed"]]);
      // Who is not let in any more gets nothing.
      await cut(socket);
      await speaker.emitWithAck("tell", "/watched", false, ["secret"]);
      socket.auth = { name: "nobody" };
      const refused = next(socket, "connect_error");
      socket.connect();
      assert.equal((await refused)[0].message, "not welcome");
      assert.deepEqual(news, [["missed"]]);
    },
  },
  recovery_of_binary_events_with_msgpack: {
    server: { ...server, CODEC: "msgpack" },
    async run({ open }) {
      const speaker = await open({ parser });
      const socket = await open({ parser, auth: { name: "eve" } }, "/watched");
      const news = heard(socket);
      const binary = (length) => Buffer.alloc(length, 7);
      for (let round = 0; round < 3; round++) {
        await cut(socket);
        const missed = [round, { deep: [binary(3)] }, binary(70_000)];
        await speaker.emitWithAck("tell", "/watched", false, missed);
        await speaker.emitWithAck("tell", "/watched", true, ["volatile"]);
        await comeBack(socket);
        assert.equal(await socket.emitWithAck("say", "hi"), "hi in watched");
        assert.deepEqual(news.splice(0), [missed]);
      }
    },
  },
  recovery_after_a_page_was_reloaded: {
    server,
    async run({ open, server, transport }) {
      const speaker = await open();
      let number = 0;
      const tell = (volatile) => {
        const news = [volatile ? "volatile" : "event", String((number += 1))];
        return speaker.emitWithAck("tell", "/watched", volatile, news);
      };
      const news = [];
      const listen = (socket) => {
        socket.on("news", (kind, text) => kind === "event" && news.push(Number(text)));
        return socket;
      };
      let page = listen(await open({ auth: { name: "pat" } }, "/watched"));
      const { id } = page;
      const expected = [];
      for (let reload = 0; reload < 4; reload++) {
        for (const volatile of [true, false, true]) {
          await tell(volatile);
          if (!volatile) expected.push(number);
        }
        await story(page);
        // All that is left of the page is what it has saved.
        const saved = { pid: page._pid, offset: page._lastOffset };
        await cut(page);
        for (const volatile of [false, true, false]) {
          await tell(volatile);
          if (!volatile) expected.push(number);
        }
        // Once: what it knows itself is newer from then on.
        let claim = saved;
        const auth = (give) => {
          give({ name: "pat", ...claim });
          claim = {};
        };
        page = listen(client(`${server.url}/watched`, transport, { auth }));
        await connected(page);
        assert.equal(page.id, id);
        assert.equal(page._pid, saved.pid);
        await story(page);
        assert.deepEqual(news, expected);
        // A cut of the new page is as any other.
        await cut(page);
        await tell(false);
        expected.push(number);
        await comeBack(page);
        await story(page);
        assert.deepEqual(news, expected);
      }
      page.disconnect();
    },
  },
  recovery_in_dynamic_namespaces: {
    server,
    async run({ open }) {
      const speaker = await open();
      const socket = await open({ auth: { name: "dan" } }, "/room-7");
      const { id } = socket;
      const news = heard(socket);
      assert.equal(await socket.emitWithAck("say", "here"), "here in 7");
      for (let round = 0; round < 3; round++) {
        // Nobody else is there.
        await cut(socket);
        await speaker.emitWithAck("tell", "/room-7", false, ["missed", round]);
        await comeBack(socket);
        assert.equal(socket.id, id);
        assert.equal(await socket.emitWithAck("say", "back"), "back in 7");
        assert.deepEqual(news.splice(0), [["missed", round]]);
      }
      const expected = ["auth", "connect", "screened"];
      for (let round = 0; round < 3; round++) expected.push("auth", "resume", "screened");
      assert.deepEqual(await story(socket), expected);
    },
  },
  // A proxy cuts one connection after the other, each some bytes later than the one before: within the
  // handshake, CONNECT, the replay, and behind it.
  recovery_when_the_replay_itself_is_cut: {
    server,
    async run({ open, server, transport }) {
      const speaker = await open();
      const proxy = await startProxy(server.url);
      const socket = client(`${proxy.url}/watched`, transport, {
        auth: { name: "kim" },
        reconnection: true,
        reconnectionDelay: 1,
        reconnectionDelayMax: 5,
        // It does not notice a WebSocket that ends before it has said anything.
        timeout: 200,
      });
      await connected(socket);
      const numbers = [];
      socket.on("news", (number) => {
        numbers.push(number);
        // What one connection has to pass on never ends before it is cut.
        if (cutting) tell();
      });
  
      socket.on("connect", () => assert.equal(socket.recovered, true));
      for (let bytes = 150; bytes < 6_000; bytes += 83) proxy.limits.push(bytes);
      const padding = "x".repeat(100);
      let number = 0;
      let cutting = true;
      let told = Promise.resolve();
      const tell = () => {
        told = speaker.emitWithAck("tell", "/watched", false, [(number += 1), padding]);
      };
      for (let missed = 0; missed < 5; missed++) tell();
      const whole = new Promise((resolve) => {
        proxy.arrived = (limit) => {
          if (limit !== Infinity) return;
          cutting = false;
          resolve();
        };
      });
      proxy.cut();
      await waitFor("an end of the cuts", whole);
      await told;
      await connected(socket);
      await story(socket);
      assert.deepEqual(numbers, Array.from({ length: number }, (_, index) => index + 1));
      socket.disconnect();
      proxy.close();
    },
  },
};

// Passes bytes on; each new connection ends after the next of `limits` bytes from the server.
async function startProxy(target) {
  const open = new Set();
  const proxy = { limits: [] };
  const listener = net.createServer((near) => {
    const far = net.connect(new URL(target).port, "127.0.0.1");
    let left = proxy.limits.shift() ?? Infinity;
    proxy.arrived?.(left);
    const end = () => {
      open.delete(end);
      near.destroySoon();
      far.destroy();
    };
    open.add(end);
    near.setNoDelay(true);
    near.on("data", (data) => far.write(data));
    far.on("data", (data) => {
      near.write(data.subarray(0, left));
      left -= data.length;
      if (left <= 0) end();
    });
    for (const side of [near, far]) side.on("error", end).on("close", end);
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  proxy.url = `http://127.0.0.1:${listener.address().port}`;
  proxy.cut = () => open.forEach((end) => end());
  proxy.close = () => listener.close();
  return proxy;
}
