// Runs the steps of one generation of the official client on every transport against the program
// named by INTEROP_SERVER, or without it against the official server:
//
//   node matrix.mjs                            every client
//   node matrix.mjs CLIENT [TRANSPORT [STEP]]  the client, such as javascript-2.5
//
// Each cell of the table is one line on stdout: client, transport, step, and `ok`, `FAILED` or
// `unknown` for what that client does not know.
import { Server, TRANSPORTS, waiting } from "./harness.mjs";
import { Client, NAMES } from "./matrix/clients.mjs";
import { STEPS } from "./matrix/steps.mjs";

const DEADLINE = 40_000;

const wanted = process.argv.slice(2);
let failed = false;
for (const name of NAMES.filter(isWanted(0))) {
  const server = await Server.start({ EIO3: 1 });
  for (const transport of Object.keys(TRANSPORTS).filter(isWanted(1))) {
    for (const step of Object.keys(STEPS).filter(isWanted(2))) {
      console.log(name, transport, step, await cell(server, name, transport, step));
    }
  }
  server.kill();
}
process.exit(failed ? 1 : 0);

function isWanted(position) {
  return (name) => name === (wanted[position] ?? name);
}

async function cell(server, name, transport, step) {
  const client = new Client(name, transport);
  if (step === "recover" && !client.recovers) return "unknown";
  try {
    await inTime(STEPS[step]({ client, server }).then(() => client.arrive()));
    return "ok";
  } catch (error) {
    failed = true;
    console.error(name, transport, step, error);
    return "FAILED";
  } finally {
    waiting.clear();
    client.close();
  }
}

async function inTime(promise) {
  let timer;
  const late = new Promise((_, reject) => {
    const give = () => reject(new Error(`still waiting for: ${[...waiting].join(", ")}`));
    timer = setTimeout(give, DEADLINE);
  });
  try {
    await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}
