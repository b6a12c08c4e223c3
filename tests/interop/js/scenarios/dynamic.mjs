// Dynamic namespaces with a parameter (`/room-{number}` of src/watched.rs), as every generation of the
// official client and its MessagePack parser join them.
import assert from "node:assert/strict";
import first from "socket.io-client-1";
import second from "socket.io-client-2";
import parser from "socket.io-msgpack-parser";
import { connected, next, TRANSPORTS } from "../harness.mjs";

const say = (socket, text) => new Promise((resolve) => socket.emit("say", text, resolve));

// What such a client has for `auth` is the query of its namespace.
function older(io) {
  return {
    server: { EIO3: "1" },
    async run({ server, transport }) {
      const options = { transports: TRANSPORTS[transport], forceNew: true, reconnection: false };
      const open = (room, name) => io(`${server.url}/room-${room}`, { ...options, query: { name } });
      const [seven, eight] = [open(7, "ann"), open(8, "bob")];
      await Promise.all([seven, eight].map(connected));
      assert.equal(await say(seven, "hi"), "hi in 7");
      assert.equal(await say(eight, "hi"), "hi in 8");
      assert.ok(seven.id.endsWith(seven.io.engine.id), seven.id);
      const refused = open(7, "nobody");
      assert.equal((await next(refused, "error"))[0], "not welcome");
      for (const socket of [seven, eight, refused]) socket.disconnect();
    },
  };
}

export const scenarios = {
  dynamic_namespaces_of_client_1: older(first),
  dynamic_namespaces_of_client_2: older(second),
  dynamic_namespaces_with_msgpack: {
    server: { CODEC: "msgpack" },
    async run({ open }) {
      const seven = await open({ parser, auth: { name: "ann" } }, "/room-7");
      const eight = await open({ parser, auth: { name: "bob" } }, "/room-8");
      assert.equal(await say(seven, "hi"), "hi in 7");
      assert.equal(await say(eight, "\u00fc"), "\u00fc in 8");
      await assert.rejects(open({ parser, auth: { name: "nobody" } }, "/room-7"), /not welcome/);
      await assert.rejects(open({ parser, auth: { name: "ann" } }, "/hall-7"), /Invalid namespace/);
    },
  },
};
