import { monitorEventLoopDelay } from "node:perf_hooks";
import { PRIVATE_FIELDS } from "../../src/rpc/transport_internals.js";
import { startTestServer } from "./server.js";

/*
 * A server in a process of its own, that any number of calls may be made to, with settings as JSON in its first argument
 * and renamed private fields in its second. Tells its parent its addresses, answers
 * "memory" with what is in use after a collection, "stall" with the longest hold-up of its event loop, and ends when
 * told "close".
 */
const delay = monitorEventLoopDelay({ resolution: 5 });
delay.enable();
Object.assign(PRIVATE_FIELDS, JSON.parse(process.argv[3] ?? "{}"));
const server = await startTestServer({
  metrics: { host: "127.0.0.1", port: 0 },
  // Such a server is loaded on purpose.
  ...JSON.parse(process.argv[2] ?? "{}"),
});

process.on("message", (message) => {
  if (message === "close") {
    server.close().then(() => process.exit(0));
  } else if (message === "memory") {
    (globalThis as { gc?: () => void }).gc?.();
    const { heapUsed, external } = process.memoryUsage();
    process.send!({ bytes: heapUsed + external });
  } else if (message === "stall") {
    process.send!({ ms: delay.max / 1e6 });
    delay.reset();
  }
});
process.send!({ address: server.address, metricsAddress: server.metricsAddress });
