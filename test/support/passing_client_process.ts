import { createPresenceClient } from "../../src/client/index.js";

/*
 * A client that loses its server and then stops, by `close()` or by an aborted signal as its second argument says. Leaves
 * it to Node to end the process, which it does when no timer and no handle is left.
 */
const [address, way] = process.argv.slice(2);
const abort = new AbortController();
const presence = createPresenceClient({ address: address!, userId: "tony" });
const subscription = presence.channel("room").subscribe({
  signal: abort.signal,
  reconnect: { minDelayMs: 60_000, maxDelayMs: 60_000 },
  onStatus: async ({ state }) => {
    if (state !== "reconnecting") return;
    // Nobody waits for this one either.
    presence
      .channel("room")
      .setState({ Mic: "True" })
      .catch(() => {});
    if (way === "close") await presence.close();
    else abort.abort();
    process.disconnect();
  },
});
await subscription.ready;
process.send!("ready");
