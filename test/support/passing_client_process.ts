import { setImmediate } from "node:timers/promises";
import { createPresenceClient } from "../../src/client/index.js";

/*
 * A client with a subscription and a feed that loses its server and then stops, by `close()` or by an aborted signal as its
 * second argument says. Leaves it to Node to end the process, which it does when no timer and no handle is left.
 */
const [address, way] = process.argv.slice(2);
const abort = new AbortController();
const presence = createPresenceClient({ address: address!, userId: "tony" });
const feed = presence.watchChannels({ signal: abort.signal, reconnect: { minDelayMs: 60_000, maxDelayMs: 60_000 } });
const events = feed[Symbol.asyncIterator]();
await events.next();
// Fails where the signal is aborted.
const ending = (async () => {
  while (!(await events.next()).done);
})().catch(() => {});
const subscription = presence.channel("room").subscribe({
  signal: abort.signal,
  reconnect: { minDelayMs: 60_000, maxDelayMs: 60_000 },
  onStatus: async ({ state }) => {
    if (state !== "reconnecting") return;
    // The feed is on the same connection.
    while (feed.status.state !== "reconnecting") await setImmediate();
    // Nobody waits for this one either.
    presence
      .channel("room")
      .setState({ Mic: "True" })
      .catch(() => {});
    if (way === "close") await presence.close();
    else abort.abort();
    await ending;
    process.disconnect();
  },
});
await subscription.ready;
process.send!("ready");
