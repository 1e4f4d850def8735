import { connect, message } from "./calls.js";
import { Listener } from "./listener.js";

/*
 * A client in a process of its own: subscribes as told by its arguments (address, channel, user), says "opened", and
 * lives until it is told to exit or is killed.
 */
const [address, channel, userId] = process.argv.slice(2);
const { client } = connect(address!, undefined);
const listener = new Listener(client, { channel: message(channel!), userId: userId!, initialStates: { Mic: "True" } });
await listener.opened();
process.on("message", () => process.exit(0));
process.send!("opened");
listener.next().catch(() => process.exit(1));
