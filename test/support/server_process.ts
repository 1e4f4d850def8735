import { startTestServer } from "./server.js";

/*
 * A server in a process of its own, with settings as JSON in its first argument. Tells its parent its addresses, answers
 * "memory" with what is in use after a collection, and ends when told "close".
 */
const server = await startTestServer({
  metrics: { host: "127.0.0.1", port: 0 },
  ...JSON.parse(process.argv[2] ?? "{}"),
});

process.on("message", (message) => {
  if (message === "close") {
    server.close().then(() => process.exit(0));
  } else if (message === "memory") {
    (globalThis as { gc?: () => void }).gc?.();
    const { heapUsed, external } = process.memoryUsage();
    process.send!({ bytes: heapUsed + external });
  }
});
process.send!({ address: server.address, metricsAddress: server.metricsAddress });
