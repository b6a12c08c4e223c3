// The official client in a process of its own: prints the id of its socket, then does nothing.
import { client, connected, upgraded } from "./harness.mjs";

const [url, transport] = process.argv.slice(2);
const socket = await connected(client(url, transport));
if (transport === "upgrade") await upgraded(socket);
await socket.emitWithAck("answer");
// On polling, the next request has left by then.
setImmediate(() => console.log(socket.id));
