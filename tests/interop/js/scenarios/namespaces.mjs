import assert from "node:assert/strict";
import { connect, createServer } from "node:net";
import { client, connected, next } from "../harness.mjs";

// Counts the TCP connections that go through it, and the Engine.IO sessions opened on them.
class CountingProxy {
  connections = 0;
  sessions = 0;
  #server;

  static async start(target) {
    const proxy = new CountingProxy();
    const { hostname, port } = new URL(target);
    proxy.#server = createServer((downstream) => {
      proxy.connections += 1;
      downstream.on("data", (data) => proxy.#handleRequest(data.toString("latin1")));
      const upstream = connect(port, hostname);
      downstream.pipe(upstream).pipe(downstream);
      for (const stream of [downstream, upstream]) stream.on("error", () => stream.destroy());
    });
    await new Promise((resolve) => proxy.#server.listen(0, "127.0.0.1", resolve));
    return proxy;
  }

  #handleRequest(data) {
    const [, target] = data.match(/^GET (\S+) HTTP/) ?? [];
    if (target && !/[?&]sid=/.test(target)) this.sessions += 1;
  }

  get url() {
    return `http://127.0.0.1:${this.#server.address().port}`;
  }

  stop() {
    this.#server.close();
  }
}

export const scenarios = {
  two_namespaces_on_one_connection: {
    async run({ server, transport }) {
      const proxy = await CountingProxy.start(server.url);
      const main = client(proxy.url, transport);
      const second = main.io.socket("/second");
      await Promise.all([connected(main), connected(second)]);
      assert.notEqual(main.id, second.id);
      assert.equal(await main.emitWithAck("answer", "main"), "main");
      assert.equal(await second.emitWithAck("where"), "/second");

      // Leaving one namespace leaves the other alone.
      const { id } = second;
      second.disconnect();
      assert.deepEqual(await server.reasons(id, "/second"), ["client namespace disconnect"]);
      assert.equal(await main.emitWithAck("answer", "still here"), "still here");
      second.connect();
      await connected(second);
      assert.notEqual(second.id, id);

      assert.equal(proxy.sessions, 1);
      if (transport === "websocket") assert.equal(proxy.connections, 1);
      main.io._close();
      proxy.stop();
    },
  },
  an_unknown_namespace: {
    async run({ open }) {
      const socket = await open();
      const unknown = socket.io.socket("/unknown");
      unknown.connect();
      const [error] = await next(unknown, "connect_error");
      assert.equal(error.message, "Invalid namespace");
      assert.equal(await socket.emitWithAck("answer", "alive"), "alive");
    },
  },
  refused_auth_with_data: {
    async run({ server, transport }) {
      for (const auth of [{ token: "bad" }, {}]) {
        const socket = client(`${server.url}/private`, transport, { auth });
        const [error] = await next(socket, "connect_error");
        assert.equal(error.message, "not welcome");
        assert.deepEqual(error.data, { code: 401, hint: ["ask", "again"] });
        assert.equal(socket.connected, false);

        // The connection is still good for another try.
        socket.auth = { token: "good" };
        socket.connect();
        await connected(socket);
        assert.equal(await socket.emitWithAck("where"), "/private");
        socket.disconnect();
      }
    },
  },
  two_sockets_at_the_same_instant: {
    async run({ open }) {
      for (let round = 0; round < 20; round++) {
        const both = await Promise.all([open({}, "/second"), open({}, "/second")]);
        assert.notEqual(both[0].id, both[1].id);
        const answers = await Promise.all(both.map((socket) => socket.emitWithAck("where")));
        assert.deepEqual(answers, ["/second", "/second"]);
      }
    },
  },
};
