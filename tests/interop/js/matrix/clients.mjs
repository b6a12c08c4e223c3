// The official clients of all generations behind one face: what differs between them is here.
import { createRequire } from "node:module";
import { stringify } from "node:querystring";
import { collect, next, TRANSPORTS, upgraded } from "../harness.mjs";

const require = createRequire(import.meta.url);

// From 3.0 on a client presents `auth` when it joins a namespace, and a refusal is an error.
const PRESENTS_AUTH = {
  present: (auth) => ({ auth }),
  refusal: "connect_error",
  dataOf: (error) => error.data,
};
// Before, it presented the query of the namespace, and a refusal was the data alone.
const PRESENTS_QUERY = {
  present: (auth) => ({ query: stringify(auth) }),
  refusal: "error",
  dataOf: (data) => data,
};
// The oldest one does not know that its sockets of other namespaces have ids of their own.
const SHARES_ID = {
  idOf: ({ nsp, id }) => (nsp === "/" ? id : `${nsp}#${id}`),
};
// It also encodes text twice on long-polling, and decodes it twice: what leaves there and comes back over
// a WebSocket is not the same.
const ENCODES_TWICE = { encodesTwice: true };

const GENERATIONS = {
  "javascript-4.8": { ...PRESENTS_AUTH, module: "socket.io-client", recovers: true },
  "javascript-3.1": { ...PRESENTS_AUTH, module: "socket.io-client-3" },
  "javascript-2.5": { ...PRESENTS_QUERY, module: "socket.io-client-2" },
  "javascript-1.7": {
    ...PRESENTS_QUERY,
    ...SHARES_ID,
    ...ENCODES_TWICE,
    module: "socket.io-client-1",
  },
};

export const NAMES = Object.keys(GENERATIONS);

// One generation of the client on one transport. It closes what it has opened.
export class Client {
  #generation;
  #Manager;
  #sockets = [];

  constructor(name, transport) {
    this.#generation = GENERATIONS[name];
    this.#Manager = require(this.#generation.module).Manager;
    this.transport = transport;
  }

  get recovers() {
    return this.#generation.recovers ?? false;
  }

  // The id of a socket, as the server knows it.
  id(socket) {
    return this.#generation.idOf?.(socket) ?? socket.id;
  }

  // A connection of its own, which stays away once it is lost.
  manager(url, options = {}) {
    const transports = TRANSPORTS[this.transport];
    return new this.#Manager(url, { transports, reconnection: false, ...options });
  }

  // A socket that is about to join a namespace on that connection.
  join(manager, namespace = "/", auth = {}) {
    const options = Object.keys(auth).length > 0 ? this.#generation.present(auth) : {};
    const socket = manager.socket(namespace, options);
    this.#sockets.push(socket);
    return socket;
  }

  // A socket that has joined.
  async open(manager, namespace, auth) {
    return this.joined(this.join(manager, namespace, auth));
  }

  async joined(socket) {
    const failed = ["connect_error", "error"].map((event) =>
      next(socket, event).then(([error]) => Promise.reject(error)),
    );
    await Promise.race([next(socket, "connect"), ...failed]);
    if (this.#generation.encodesTwice && this.transport === "upgrade") await upgraded(socket);
    return socket;
  }

  // The data of the refusal that a socket gets instead of joining.
  async refused(socket) {
    const joined = next(socket, "connect").then(() => Promise.reject(new Error("has joined")));
    const [error] = await Promise.race([next(socket, this.#generation.refusal), joined]);
    return this.#generation.dataOf(error);
  }

  // Whoever is still connected has to arrive at the transport.
  async arrive() {
    for (const socket of this.#sockets.filter((socket) => socket.connected)) {
      if (this.transport === "upgrade") await upgraded(socket);
      const arrived = TRANSPORTS[this.transport].at(-1);
      const { name } = socket.io.engine.transport;
      if (name !== arrived) throw new Error(`on ${name} instead of ${arrived}`);
    }
  }

  close() {
    for (const socket of this.#sockets.splice(0)) socket.disconnect();
  }
}

// Emits, and gives the arguments of the acknowledgement.
export function call(socket, event, ...args) {
  return new Promise((resolve) => socket.emit(event, ...args, (...answer) => resolve(answer)));
}

// What comes back as the event of that name when all of these argument lists are emitted.
export async function exchange(socket, event, lists) {
  const back = collect(socket, event, lists.length);
  for (const list of lists) socket.emit(event, ...list);
  return (await back).map((list) => list.map(withBuffers));
}

// Old clients give an ArrayBuffer where newer ones give a Buffer.
export function withBuffers(value) {
  if (value instanceof ArrayBuffer || ArrayBuffer.isView(value)) return Buffer.from(value);
  if (Array.isArray(value)) return value.map(withBuffers);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [key, withBuffers(each)]));
}
