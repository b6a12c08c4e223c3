// Clients that speak HTTP/2: Chromium, whose WebSockets then travel on streams (RFC 8441), and Node.js.
// The official server has none, so that it only shows that the page asks for the right things.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { connect } from "node:http2";
import { waitFor } from "../harness.mjs";
import { browserOnPath, BUNDLE } from "./browser.mjs";
import { certificate } from "./encryption.mjs";

const isOurs = Boolean(process.env.INTEROP_SERVER);

function server() {
  const { key, cert } = certificate();
  return { TLS_KEY: key, TLS_CERT: cert, HTTP2_WEBSOCKET: 1 };
}

// Runs in the page. The result is what the page saw and what the server saw of it.
async function talk(transports) {
  const socket = window.io({ transports, reconnection: false });
  await new Promise((resolve, reject) => {
    socket.on("connect", resolve);
    socket.on("connect_error", reject);
  });
  const { engine } = socket.io;
  if (transports.length > 1 && engine.transport.name === "polling") {
    await new Promise((resolve) => engine.once("upgrade", resolve));
  }
  const large = new Uint8Array(100_000).fill(7);
  const answer = new Uint8Array(await socket.emitWithAck("answer", large.buffer));
  const requests = performance
    .getEntriesByType("resource")
    .filter(({ name }) => name.includes("transport=polling"));
  return {
    whole: answer.length === large.length && answer.every((byte) => byte === 7),
    transport: engine.transport.name,
    // Of a request that opens a stream there is no key.
    key: await socket.emitWithAck("header", "sec-websocket-key"),
    version: await socket.emitWithAck("header", "sec-websocket-version"),
    protocols: [...new Set(requests.map(({ nextHopProtocol }) => nextHopProtocol))],
  };
}

export const scenarios = {
  a_page_over_tls_and_http2: {
    get server() {
      return server();
    },
    async run({ server, transport }) {
      // Loaded when it is needed, because it takes its time.
      const { chromium } = await import("playwright-core");
      const executablePath = browserOnPath();
      const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
      try {
        const context = await browser.newContext({ ignoreHTTPSErrors: true });
        const page = await context.newPage();
        // Any answer of the server will do as a page of its own origin, also a refusal.
        await page.goto(`${server.url}/socket.io/`);
        await page.addScriptTag({ path: BUNDLE });
        const transports = transport === "upgrade" ? ["polling", "websocket"] : [transport];
        const seen = await page.evaluate(talk, transports);
        assert.equal(seen.whole, true);
        assert.equal(seen.transport, transports.at(-1));
        if (!isOurs) return;
        assert.equal(seen.key, null, "no request of HTTP/1.1");
        assert.equal(seen.version, transport === "websocket" ? "13" : null);
        assert.deepEqual(seen.protocols, transport === "websocket" ? [] : ["h2"]);
      } finally {
        await browser.close();
      }
    },
  },

  node_polls_over_http2: {
    transports: ["polling"],
    get server() {
      return server();
    },
    async run({ server }) {
      if (!isOurs) return;
      const session = connect(server.url, { ca: readFileSync(certificate().cert) });
      try {
        await polls(session);
      } finally {
        session.close();
      }
    },
  },
};

// A client by hand: all its requests are streams of one connection.
async function polls(session) {
  let path = "/socket.io/?EIO=4&transport=polling";
  const request = (method, body) => {
    const stream = session.request({ ":method": method, ":path": path });
    stream.setEncoding("utf8");
    stream.end(body);
    let [status, text] = [0, ""];
    stream.on("response", (headers) => (status = headers[":status"]));
    stream.on("data", (data) => (text += data));
    const ended = new Promise((resolve, reject) => {
      stream.on("end", () => resolve({ status, text }));
      stream.on("error", reject);
    });
    return waitFor(`${method} ${path}`, ended);
  };
  const open = await request("GET");
  assert.equal(open.status, 200);
  assert.equal(session.alpnProtocol, "h2");
  path += `&sid=${JSON.parse(open.text.slice(1)).sid}`;
  assert.deepEqual(await request("POST", "40"), { status: 200, text: "ok" });
  assert.match((await request("GET")).text, /^40\{"sid":"/);
  // A GET that waits does not hold up the POST that it waits for.
  const waiting = request("GET");
  const posted = await request("POST", '42["echo","one"]\x1e42["echo","two"]');
  assert.deepEqual(posted, { status: 200, text: "ok" });
  const packets = (await waiting).text.split("\x1e");
  while (packets.length < 2) packets.push(...(await request("GET")).text.split("\x1e"));
  assert.deepEqual(packets, ['42["echo","one"]', '42["echo","two"]']);
  assert.deepEqual(await request("POST", "1"), { status: 200, text: "ok" });
  assert.equal((await request("GET")).status, 400);
}
