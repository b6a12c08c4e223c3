// A page in headless Chromium, from a host that has set a cookie, with the browser's own bundle.
import assert from "node:assert/strict";
import { accessSync } from "node:fs";
import { fileURLToPath } from "node:url";

const DIST = new URL("../../node_modules/socket.io-client/dist/", import.meta.url);
export const BUNDLE = fileURLToPath(new URL("socket.io.min.js", DIST));

export function browserOnPath() {
  const folders = (process.env.PATH ?? "").split(":");
  const isThere = (path) => {
    try {
      accessSync(path);
      return true;
    } catch {
      return false;
    }
  };
  const path = folders.map((folder) => `${folder}/chromium`).find(isThere);
  assert.ok(path, "chromium is not installed: run `cargo xtask setup`");
  return path;
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
  const cookie = await socket.emitWithAck("header", "cookie");
  const binary = await socket.emitWithAck("answer", new Uint8Array([1, 2, 255]).buffer);
  return { cookie, binary: [...new Uint8Array(binary)], transport: engine.transport.name };
}

export const scenarios = {
  a_page_whose_host_has_set_a_cookie: {
    async run({ server, transport }) {
      // Loaded when it is needed, because it takes its time.
      const { chromium } = await import("playwright-core");
      const executablePath = browserOnPath();
      const browser = await chromium.launch({ executablePath, args: ["--no-sandbox"] });
      try {
        const context = await browser.newContext();
        await context.addCookies([{ name: "theme", value: "dark", url: server.url }]);
        const page = await context.newPage();
        // Any answer of the server will do as a page of its own origin, also a refusal.
        await page.goto(`${server.url}/socket.io/`);
        await page.addScriptTag({ path: BUNDLE });
        const transports = transport === "upgrade" ? ["polling", "websocket"] : [transport];
        const last = transports.at(-1);
        const expected = { cookie: "theme=dark", binary: [1, 2, 255], transport: last };
        assert.deepEqual(await page.evaluate(talk, transports), expected);
      } finally {
        await browser.close();
      }
    },
  },
};
