// Official clients whose connections are cut every few seconds, under traffic, against the program
// named by RECOVERY_SERVER (src/bin/recovery-server.rs):
//
//   node recovery.mjs CLIENTS SECONDS
//
// Every client must get every event that was for it, once and in order. Connections pass a proxy,
// which closes, resets or stalls them; a stalled one is dead for the client before the server knows.
import { spawn } from "node:child_process";
import { once } from "node:events";
import net from "node:net";
import { createInterface } from "node:readline";
import { io } from "socket.io-client";

const ROOMS = 10;
const TRANSPORTS = [["websocket"], ["polling"], ["polling", "websocket"]];
// How long a connection lives, in milliseconds, and how long a stalled one is kept.
const SHORTEST = 1_000;
const LONGEST = 6_000;
const STALL = 4_000;
const PATIENCE = 60_000;

const [count, seconds] = process.argv.slice(2).map(Number);
if (!(count > 0 && seconds > 0) || !process.env.RECOVERY_SERVER) {
  console.error("usage: RECOVERY_SERVER=program node recovery.mjs CLIENTS SECONDS");
  process.exit(2);
}

const figures = { connections: 0, closed: 0, reset: 0, stalled: 0, returns: 0, recovered: 0, events: 0, volatile: 0 };
const complaints = [];

const server = spawn(process.env.RECOVERY_SERVER, { stdio: ["ignore", "pipe", "inherit"] });
process.on("exit", () => server.kill("SIGKILL"));
const lines = createInterface({ input: server.stdout });
const [ready] = await once(lines, "line");
const url = new URL(ready.replace("READY ", ""));
lines.on("line", (line) => complaints.push(`the server says: ${line}`));

const proxy = await startProxy(Number(url.port));
const clients = Array.from({ length: count }, (_, number) => new Client(number, proxy.url));
const control = io(`${url.origin}/control`, { transports: ["websocket"] });
await within("clients to connect", Promise.all(clients.map((client) => client.arrived)));

control.emit("start");
proxy.cutting = true;
await new Promise((resolve) => setTimeout(resolve, seconds * 1_000));
proxy.cutting = false;
const seen = await within("the server to stop", control.emitWithAck("stop"));
await within("clients to get the last event", Promise.all(clients.map((client) => client.ended)));

for (const client of clients) client.check();
console.log(`clients ${count}, seconds ${seconds}`);
console.log(Object.entries({ ...figures, resumed: seen.resumed, gaps: seen.gaps }).map(([name, figure]) => `${name} ${figure}`).join(", "));
if (seen.gaps > 0) complaints.push(`the server told ${seen.gaps} clients of a gap`);
if (figures.recovered < count) complaints.push("hardly anybody was cut: the run says nothing");
for (const complaint of complaints.slice(0, 20)) console.error(complaint);
console.log(complaints.length === 0 ? "nothing missing, doubled or out of order" : `${complaints.length} complaints`);
process.exit(complaints.length === 0 ? 0 : 1);

// One client and all that it has received.
function Client(number, proxyUrl) {
  const socket = io(proxyUrl, {
    auth: { client: number },
    forceNew: true,
    transports: TRANSPORTS[number % TRANSPORTS.length],
    reconnectionDelay: 20,
    reconnectionDelayMax: 500,
    timeout: 3_000,
  });
  const received = { all: [], room: [], direct: [], binary: [] };
  let last = 0;
  let totals;
  let connects = 0;

  const complain = (text) => complaints.push(`client ${number}: ${text}`);
  for (const [name, numbers] of Object.entries(received)) {
    socket.on(name, (overall, own) => {
      figures.events += 1;
      if (overall <= last) complain(`${name} ${own} came as ${overall} behind ${last}`);
      last = overall;
      numbers.push(own);
    });
  }
  socket.on("volatile", () => (figures.volatile += 1));
  socket.on("connect", () => {
    connects += 1;
    if (connects === 1) return;
    figures.returns += 1;
    if (socket.recovered) figures.recovered += 1;
    else complain(`was not recovered at its connect ${connects}`);
  });
  this.arrived = once(socket, "connect");
  this.ended = new Promise((resolve) => {
    socket.on("end", (end) => {
      if (totals) complain("the last event came twice");
      totals = end;
      resolve();
    });
  });
  this.check = () => {
    const expected = { all: totals.all, room: totals.rooms[number % ROOMS] ?? 0, direct: totals.direct, binary: totals.binary };
    for (const [name, numbers] of Object.entries(received)) {
      const wrong = numbers.findIndex((own, index) => own !== index + 1);
      if (wrong >= 0) complain(`${name} ${wrong + 1} is missing or doubled: there came ${numbers[wrong]}`);
      else if (numbers.length !== expected[name]) complain(`${numbers.length} of ${expected[name]} ${name}`);
    }
    socket.disconnect();
  };
}

// Passes bytes on, and ends each connection after a while in one of three ways.
async function startProxy(port) {
  const state = { cutting: false };
  const listener = net.createServer((near) => {
    figures.connections += 1;
    const far = net.connect(port, "127.0.0.1");
    let stalled = false;
    const end = (how) => {
      near[how]();
      far[how]();
    };
    near.setNoDelay(true);
    far.setNoDelay(true);
    near.on("data", (data) => far.write(data));
    far.on("data", (data) => stalled || near.write(data));
    for (const side of [near, far]) {
      side.on("error", () => end("destroy"));
      side.on("close", () => end("destroy"));
    }
    const cut = () => {
      if (near.destroyed) return;
      // What is still there when the traffic begins has its turn then.
      if (!state.cutting) return later();
      const dice = Math.random();
      if (dice < 0.2) {
        figures.stalled += 1;
        stalled = true;
        setTimeout(end, STALL, "destroy").unref();
      } else if (dice < 0.6) {
        figures.closed += 1;
        end("destroy");
      } else {
        figures.reset += 1;
        end("resetAndDestroy");
      }
    };
    const later = () => setTimeout(cut, SHORTEST + Math.random() * (LONGEST - SHORTEST)).unref();
    later();
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  state.url = `http://127.0.0.1:${listener.address().port}`;
  return state;
}

async function within(what, promise) {
  let timer;
  const late = new Promise((_, reject) => {
    timer = setTimeout(() => reject(new Error(`waited in vain for ${what}`)), PATIENCE);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
