// The official client, 4.8 or with `revision: 3` 2.5, driven by lines of JSON as `client-under-test` of
// crates/contract-servers is: the oracle that says whether a scenario of the client asks for the right
// thing. What a scenario does not need is left out.
import { readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { Manager } from "socket.io-client";
import old from "socket.io-client-2";

let manager;
let lost = performance.now();
const sockets = new Map();
const answers = new Map();
let tries = 0;

const write = (line) => console.log(JSON.stringify(line));
const isBinary = (value) => value instanceof ArrayBuffer || ArrayBuffer.isView(value);

function shown(value) {
  if (isBinary(value)) return { $bin: Buffer.from(value).toString("base64") };
  if (Array.isArray(value)) return value.map(shown);
  if (value === null || typeof value !== "object") return value;
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, shown(inner)]));
}

function read(value) {
  if (value === null || typeof value !== "object") return value;
  if (typeof value.$bin === "string") return Buffer.from(value.$bin, "base64");
  if (Array.isArray(value)) return value.map(read);
  return Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, read(inner)]));
}

const transport = () => manager.engine?.transport?.name ?? null;

function open(options) {
  const given = (name, value) => (value === undefined ? {} : { [name]: value });
  const settings = {
    autoConnect: false,
    ...given("transports", options.transports),
    ...given("upgrade", options.upgrade),
    ...given("path", options.path),
    ...given("query", options.query),
    ...given("extraHeaders", options.headers),
    ...given("reconnection", options.reconnection),
    ...given("reconnectionAttempts", options.reconnection_attempts),
    ...given("reconnectionDelay", options.reconnection_delay_ms),
    ...given("reconnectionDelayMax", options.reconnection_delay_max_ms),
    ...given("randomizationFactor", options.randomization_factor),
    ...given("timeout", options.timeout_ms),
    ...given("retries", options.retries),
    ...given("ackTimeout", options.ack_timeout_ms),
    ...(options.ca_pem ? { ca: readFileSync(options.ca_pem) } : {}),
    ...(options.insecure ? { rejectUnauthorized: false } : {}),
  };
  const early = options.revision === 3;
  manager = early ? new old.Manager(options.url, settings) : new Manager(options.url, settings);
  const reconnecting = early ? [] : [manager];
  for (const source of reconnecting) {
    source.on("reconnect_attempt", (attempt) => {
      write({ ev: "reconnect_attempt", attempt, after_ms: performance.now() - lost });
    });
    source.on("reconnect_error", () => (lost = performance.now()));
    source.on("reconnect", (attempt) => write({ ev: "reconnect", attempt }));
    source.on("reconnect_failed", () => write({ ev: "reconnect_failed" }));
  }
  manager.on("open", () => {
    manager.engine.on("upgrade", ({ name }) => write({ ev: "upgrade", transport: name }));
  });
  for (const ns of options.namespaces ?? ["/"]) join(ns, options, early);
}

function auth(options) {
  const sequence = options.auth_sequence;
  if (!sequence) return options.auth ?? {};
  return sequence[Math.min(tries++, sequence.length - 1)];
}

function join(ns, options, early) {
  const given = early ? { query: auth(options) } : { auth: (tell) => tell(auth(options)) };
  if (options.retries !== undefined) given.retries = options.retries;
  if (options.ack_timeout_ms !== undefined) given.ackTimeout = options.ack_timeout_ms;
  const socket = manager.socket(ns, given);
  sockets.set(ns, socket);
  if (early) {
    socket.on("error", (data) => write({ ev: "connect_error", ns, message: "", data, active: false }));
    socket.on("reconnecting", (attempt) => {
      write({ ev: "reconnect_attempt", attempt, after_ms: performance.now() - lost });
      socket.query = new URLSearchParams(auth(options)).toString();
    });
    socket.on("reconnect_error", () => (lost = performance.now()));
    socket.on("reconnect", (attempt) => write({ ev: "reconnect", attempt }));
  }
  socket.on("connect", () => {
    const recovered = socket.recovered ?? false;
    write({ ev: "connect", ns, id: socket.id, recovered, transport: transport() });
  });
  socket.on("connect_error", ({ message, data }) => {
    write({ ev: "connect_error", ns, message, data: shown(data ?? null), active: socket.active ?? true });
  });
  socket.on("disconnect", (reason) => {
    lost = performance.now();
    write({ ev: "disconnect", ns, reason });
  });
  const hear = (event, args) => {
    const rule = typeof args.at(-1) === "function" ? args.pop() : null;
    write({ ev: "event", ns, event, args: shown(args) });
    const answer = answers.get(event);
    if (rule && answer) setTimeout(() => rule(...(answer.args?.map(read) ?? args)), answer.delay_ms ?? 0);
  };
  if (early) {
    const told = socket.onevent;
    socket.onevent = function (packet) {
      const [event, ...args] = packet.data;
      if (packet.id !== undefined) args.push(this.ack(packet.id));
      hear(event, args);
      told.call(this, packet);
    };
  } else {
    socket.onAny((event, ...args) => hear(event, args));
  }
  socket.open();
}

function emit({ ns = "/", event, args = [], tag, ack, timeout_ms, volatile }) {
  let socket = sockets.get(ns);
  if (volatile) socket = socket.volatile;
  const values = args.map(read);
  if (!ack) return socket.emit(event, ...values);
  if (timeout_ms !== undefined && socket.timeout) {
    return socket.timeout(timeout_ms).emit(event, ...values, (error, ...answer) => {
      write(error ? { ev: "ack", tag, error: error.message } : { ev: "ack", tag, args: shown(answer) });
    });
  }
  const timer = timeout_ms && setTimeout(() => write({ ev: "ack", tag, error: "late" }), timeout_ms);
  const retried = socket._opts?.retries > 0;
  socket.emit(event, ...values, (...answer) => {
    clearTimeout(timer);
    if (!retried) return write({ ev: "ack", tag, args: shown(answer) });
    const [error, ...rest] = answer;
    write(error ? { ev: "ack", tag, error: error.message } : { ev: "ack", tag, args: shown(rest) });
  });
}

function status() {
  const namespaces = {};
  for (const [ns, { connected, id }] of sockets) namespaces[ns] = { connected, id: id ?? null };
  const sessions = manager.engine?.readyState === "open" ? 1 : 0;
  write({ ev: "status", transport: transport(), sessions, buffered: 0, namespaces });
}

createInterface({ input: process.stdin })
  .on("line", (line) => {
    const command = JSON.parse(line);
    const { cmd } = command;
    if (cmd === "open") open(command);
    else if (cmd === "emit") emit(command);
    else if (cmd === "answer") answers.set(command.event, command);
    else if (cmd === "connect") sockets.get(command.ns ?? "/").connect();
    else if (cmd === "disconnect") sockets.get(command.ns ?? "/").disconnect();
    else if (cmd === "status") status();
    else if (cmd === "exit") process.exit(0);
    else write({ ev: "error", message: `no command ${cmd}` });
  })
  .on("close", () => process.exit(0));
