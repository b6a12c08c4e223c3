// Engine.IO and Socket.IO by hand, for what the official client would never do.
import assert from "node:assert/strict";
import WebSocket from "ws";

export class RawPolling {
  #url;
  #packets = [];

  // Opens a session and joins the main namespace.
  static async open(server) {
    const session = new RawPolling();
    session.#url = `${server}/socket.io/?EIO=4&transport=polling`;
    const open = await session.receive();
    assert.equal(open[0], "0");
    session.#url += `&sid=${JSON.parse(open.slice(1)).sid}`;
    await session.send("40");
    assert.match(await session.receive(), /^40\{"sid":"[\w-]+"\}$/);
    return session;
  }

  async send(...packets) {
    const response = await fetch(this.#url, { method: "POST", body: packets.join("\x1e") });
    assert.equal(response.status, 200);
    assert.equal(await response.text(), "ok");
  }

  // The next packet; what only keeps the session going is not counted.
  async receive() {
    while (this.#packets.length === 0) {
      const response = await fetch(this.#url);
      assert.equal(response.status, 200);
      const packets = (await response.text()).split("\x1e");
      this.#packets.push(...packets.filter((packet) => packet !== "6" && packet !== "2"));
    }
    return this.#packets.shift();
  }

  // A WebSocket that asks for this session.
  candidate() {
    return new WebSocket(this.#url.replace("http", "ws").replace("polling", "websocket"));
  }
}
