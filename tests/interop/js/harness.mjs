// What the scenarios share: a server in a process of its own, clients, and waiting by name.
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { io } from "socket.io-client";

const here = (file) => fileURLToPath(new URL(file, import.meta.url));

// What is being waited for right now, so that a scenario that hangs can say where.
export const waiting = new Set();

export async function waitFor(name, promise) {
  waiting.add(name);
  try {
    return await promise;
  } finally {
    waiting.delete(name);
  }
}

// The arguments of the next `event` of a socket, an engine, or anything else with `once`.
export function next(emitter, event) {
  return waitFor(event, new Promise((resolve) => emitter.once(event, (...args) => resolve(args))));
}

// The arguments of the next `count` events, in the order in which they came.
export function collect(emitter, event, count) {
  const found = [];
  const all = new Promise((resolve) => {
    emitter.on(event, (...args) => {
      if (found.push(args) === count) resolve(found);
    });
  });
  return waitFor(`${count} times ${event}`, all);
}

// The program named by INTEROP_SERVER, or else the reference. All times are in milliseconds.
export class Server {
  #options;
  #process;
  #port = 0;
  #protocol = "http:";
  #reasons = new Map();
  #waiters = new Map();

  static async start(options = {}) {
    const server = new Server();
    server.#options = options;
    await server.#spawn();
    return server;
  }

  get url() {
    return `${this.#protocol}//127.0.0.1:${this.#port}`;
  }

  async #spawn() {
    const ours = process.env.INTEROP_SERVER;
    const [program, args] = ours ? [ours, []] : [process.execPath, [here("reference-server.mjs")]];
    const env = { ...process.env, PORT: String(this.#port) };
    for (const [name, value] of Object.entries(this.#options)) env[name] = String(value);
    this.#process = spawn(program, args, { env, stdio: ["ignore", "pipe", "inherit"] });
    const ready = deferred();
    this.#process.once("error", ready.reject);
    this.#process.once("exit", (code) => ready.reject(new Error(`server ended with ${code}`)));
    createInterface({ input: this.#process.stdout }).on("line", (line) => {
      const [word, ...rest] = line.split(" ");
      if (word === "READY") ready.resolve(rest[0]);
      if (word === "DISCONNECT") this.#handleDisconnect(rest);
    });
    const { port, protocol } = new URL(await waitFor("READY", ready.promise));
    this.#port = Number(port);
    this.#protocol = protocol;
  }

  #handleDisconnect([namespace, id, ...reason]) {
    const key = `${namespace} ${id}`;
    this.#reasons.set(key, [...(this.#reasons.get(key) ?? []), reason.join(" ")]);
    this.#waiters.get(key)?.();
  }

  // The reasons that the server saw for a socket: one, unless something is wrong.
  async reasons(id, namespace = "/") {
    const key = `${namespace} ${id}`;
    if (!this.#reasons.has(key)) {
      const told = new Promise((resolve) => this.#waiters.set(key, resolve));
      await waitFor(`DISCONNECT ${key}`, told);
    }
    return this.#reasons.get(key);
  }

  freeze() {
    this.#process.kill("SIGSTOP");
  }

  // A graceful end; resolves when all output of the process has been read.
  async stop() {
    if (this.#process.exitCode !== null || this.#process.signalCode !== null) return;
    const closed = once(this.#process, "close");
    this.#process.kill("SIGTERM");
    this.#process.kill("SIGCONT");
    await waitFor("end of the server", closed);
  }

  // A new process on the same port.
  async restart() {
    await this.stop();
    await this.#spawn();
  }

  kill() {
    this.#process.kill("SIGKILL");
  }
}

function deferred() {
  let resolve, reject;
  const promise = new Promise((yes, no) => ([resolve, reject] = [yes, no]));
  return { promise, resolve, reject };
}

// What each name of a transport means to a client; the last one is where it must end up.
export const TRANSPORTS = {
  polling: ["polling"],
  websocket: ["websocket"],
  upgrade: ["polling", "websocket"],
};

// The official client with one connection of its own, which stays away once it is lost.
export function client(url, transport, options = {}) {
  const transports = TRANSPORTS[transport];
  return io(url, { transports, forceNew: true, reconnection: false, ...options });
}

export async function connected(socket) {
  if (!socket.connected) {
    const refused = new Promise((_, reject) => socket.once("connect_error", reject));
    await Promise.race([next(socket, "connect"), refused]);
  }
  return socket;
}

export async function upgraded(socket) {
  const { engine } = socket.io;
  if (engine.transport.name !== "websocket") await next(engine, "upgrade");
  return socket;
}

// The official client in a process of its own, to be frozen or killed.
export class ClientProcess {
  #process;

  static async start(url, transport) {
    const client = new ClientProcess();
    const args = [here("lonely-client.mjs"), url, transport];
    client.#process = spawn(process.execPath, args, { stdio: ["ignore", "pipe", "inherit"] });
    const lines = createInterface({ input: client.#process.stdout });
    [client.id] = await next(lines, "line");
    return client;
  }

  freeze() {
    this.#process.kill("SIGSTOP");
  }

  kill() {
    this.#process.kill("SIGKILL");
  }
}
