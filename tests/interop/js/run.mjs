// Runs scenarios of the official client against the program named by INTEROP_SERVER, or without it
// against the official server:
//
//   node run.mjs                                 everything
//   node run.mjs list                            the scenarios with their transports
//   node run.mjs SCENARIO [TRANSPORT [AMOUNT]]   AMOUNT: how often, for what is repeated
import assert from "node:assert/strict";
import { client, connected, Server, upgraded, waiting } from "./harness.mjs";
import * as acknowledgements from "./scenarios/acknowledgements.mjs";
import * as browser from "./scenarios/browser.mjs";
import * as deflate from "./scenarios/deflate.mjs";
import * as disconnects from "./scenarios/disconnects.mjs";
import * as dynamic from "./scenarios/dynamic.mjs";
import * as encryption from "./scenarios/encryption.mjs";
import * as headers from "./scenarios/headers.mjs";
import * as http2 from "./scenarios/http2.mjs";
import * as msgpack from "./scenarios/msgpack.mjs";
import * as namespaces from "./scenarios/namespaces.mjs";
import * as order from "./scenarios/order.mjs";
import * as payloads from "./scenarios/payloads.mjs";
import * as recovery from "./scenarios/recovery.mjs";
import * as rooms from "./scenarios/rooms.mjs";
import * as upgrades from "./scenarios/upgrades.mjs";

const DEADLINE = 150_000;
const SCENARIOS = {
  ...payloads.scenarios,
  ...acknowledgements.scenarios,
  ...namespaces.scenarios,
  ...rooms.scenarios,
  ...disconnects.scenarios,
  ...headers.scenarios,
  ...encryption.scenarios,
  ...browser.scenarios,
  ...http2.scenarios,
  ...order.scenarios,
  ...upgrades.scenarios,
  ...msgpack.scenarios,
  ...deflate.scenarios,
  // The reference program has no namespaces that remember, and the reference recovers less.
  ...(process.env.INTEROP_SERVER ? { ...dynamic.scenarios, ...recovery.scenarios } : {}),
};

const RUNS = Object.entries(SCENARIOS).flatMap(([name, scenario]) => {
  const transports = scenario.transports ?? ["polling", "websocket", "upgrade"];
  return transports.map((transport) => ({ name, transport, scenario }));
});

const [wantedScenario, wantedTransport, amount] = process.argv.slice(2);
if (wantedScenario === "list") {
  for (const { name, transport } of RUNS) console.log(name, transport);
  process.exit(0);
}
const wanted = RUNS.filter(({ name, transport }) => {
  return name === (wantedScenario ?? name) && transport === (wantedTransport ?? transport);
});
if (wanted.length === 0) {
  console.error("no such scenario or transport: see `node run.mjs list`");
  process.exit(2);
}

let failures = 0;
for (const { name, transport, scenario } of wanted) {
  const begin = Date.now();
  try {
    await run(scenario, transport);
    console.log(`ok ${name} ${transport} (${Date.now() - begin} ms)`);
  } catch (error) {
    failures += 1;
    console.error(`FAILED ${name} ${transport}\n`, error);
  }
}
process.exit(failures === 0 ? 0 : 1);

// A scenario is `{ run, transports, server }`; the last two may be absent. `run` gets the server,
// the transport, and `open`, which gives a connected client. In the end every client that is still
// connected must have arrived at its transport.
async function run(scenario, transport) {
  const server = await Server.start(scenario.server);
  const sockets = [];
  const open = (options = {}, namespace = "") => {
    const socket = client(server.url + namespace, transport, options);
    sockets.push(socket);
    return connected(socket);
  };
  const deadline = setTimeout(() => {
    console.error(`still waiting for: ${[...waiting].join(", ")}`);
    server.kill();
    process.exit(1);
  }, DEADLINE);
  try {
    await scenario.run({ server, transport, open, amount: amount && Number(amount) });
    for (const socket of sockets.filter((socket) => socket.connected)) {
      if (transport === "upgrade") await upgraded(socket);
      else assert.equal(socket.io.engine.transport.name, transport);
    }
    await server.stop();
  } finally {
    clearTimeout(deadline);
    for (const socket of sockets) socket.disconnect();
    server.kill();
  }
}
