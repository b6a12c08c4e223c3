// Each end of a socket, as the client and as the server see it.
import assert from "node:assert/strict";
import { client, ClientProcess, connected, next, upgraded } from "../harness.mjs";

const QUICK_HEARTBEAT = { PING_INTERVAL: 300, PING_TIMEOUT: 700 };

// Does something to a connected socket and checks both reasons. Where what a polling client sees
// depends on whether a request of it is waiting just then, `seenWhilePolling` is the other one.
function ends(act, { seenByClient, seenWhilePolling, seenByServer, server }) {
  return {
    server,
    async run({ server, transport, open }) {
      const socket = await open();
      if (transport === "upgrade") await upgraded(socket);
      const { id } = socket;
      const lost = next(socket, "disconnect");
      act(socket, server);
      const [reason] = await lost;
      if (transport !== "polling" || reason !== seenWhilePolling) {
        assert.equal(reason, seenByClient);
      }
      if (seenByServer) assert.deepEqual(await server.reasons(id), [seenByServer]);
    },
  };
}

export const scenarios = {
  the_client_leaves: ends((socket) => socket.disconnect(), {
    seenByClient: "io client disconnect",
    seenByServer: "client namespace disconnect",
  }),
  the_client_closes_its_connection: ends((socket) => socket.io.engine.close(), {
    seenByClient: "forced close",
    seenByServer: "transport close",
  }),
  the_server_takes_a_socket_out: ends((socket) => socket.emit("throw out", false), {
    seenByClient: "io server disconnect",
    seenByServer: "server namespace disconnect",
  }),
  the_server_closes_the_connection: ends((socket) => socket.emit("throw out", true), {
    seenByClient: "io server disconnect",
    seenByServer: "server namespace disconnect",
  }),
  the_server_shuts_down: ends((_, server) => server.stop(), {
    seenByClient: "transport close",
    seenWhilePolling: "transport error",
    seenByServer: "server shutting down",
  }),
  the_server_freezes: ends((_, server) => server.freeze(), {
    seenByClient: "ping timeout",
    server: QUICK_HEARTBEAT,
  }),
  the_client_freezes: {
    server: QUICK_HEARTBEAT,
    async run({ server, transport }) {
      const lonely = await ClientProcess.start(server.url, transport);
      lonely.freeze();
      assert.deepEqual(await server.reasons(lonely.id), ["ping timeout"]);
      lonely.kill();
    },
  },
  the_client_is_killed: {
    async run({ server, transport }) {
      const lonely = await ClientProcess.start(server.url, transport);
      lonely.kill();
      const expected = transport === "polling" ? "transport error" : "transport close";
      assert.deepEqual(await server.reasons(lonely.id), [expected]);
    },
  },
  the_client_comes_back_after_a_restart: {
    async run({ server, transport }) {
      const socket = client(server.url, transport, { reconnection: true, reconnectionDelay: 50 });
      await connected(socket);
      if (transport === "upgrade") await upgraded(socket);
      const { id } = socket;
      const back = next(socket, "connect");
      await server.restart();
      await back;
      assert.notEqual(socket.id, id);
      assert.equal(await socket.emitWithAck("answer", "again"), "again");
      socket.disconnect();
    },
  },
};
