/*
 * Joins a channel, sets a state, watches the others, and comes back with its session when the connection is lost.
 * Ctrl-C leaves the channel.
 *
 * Usage: watch_room.ts HOST:PORT CHANNEL USER
 */
import { createPresenceClient } from "rollcall/client";

const [address, name, userId] = process.argv.slice(2);
if (!address || !name || !userId) throw new Error("usage: watch_room.ts HOST:PORT CHANNEL USER");

// The client does the rest: keepalive, back-off, RetryInfo, the session, and applying each event.
const presence = createPresenceClient({ address, userId });
const room = presence.channel(name);
const subscription = room.subscribe({
  initialStates: { Mode: "Happy" },
  onStatus: (status) => status.state === "reconnecting" && console.log("lost:", status.reason.code),
});
process.once("SIGINT", () => subscription.close()); // only this session ends, and the loop with it
for await (const event of subscription) {
  if (event.kind === "subscribed") console.log(event.resumed ? "back again" : "joined");
  else {
    const members = [...subscription.members.values()].map((member) => [member.userId, member.states]);
    console.log(event.kind, JSON.stringify(Object.fromEntries(members)));
  }
}
await presence.close();
