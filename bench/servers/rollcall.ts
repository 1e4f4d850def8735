import { type Running, serveChild } from "./child.js";

/** What the bench sets, over the server's defaults. */
const SETTINGS = {
  listen: { host: "127.0.0.1", port: 0 },
  logLevel: "silent",
  // What is measured is how much there can be.
  rateLimit: 0,
  streamRateLimit: 0,
  // The readers are gone by the time the server is closed.
  drainTime: 0,
} as const;

/**
 * The real server, as it is built: `dist` is loaded by name, so that the bench can be checked and started, and the
 * baselines run, before there is a build.
 */
await serveChild(async ({ rollcall }): Promise<Running> => {
  const build = new URL("../../dist/src/server/server.js", import.meta.url);
  const { startServer } = (await import(build.href)) as typeof import("../../src/server/server.js");
  const server = await startServer({ ...SETTINGS, ...(rollcall as object) });
  const { address, metricsAddress } = server;
  return { address, lagging: () => laggingReaders(metricsAddress), close: () => server.close() };
});

/** Reads the gauge as an operator would. */
async function laggingReaders(metricsAddress: string | undefined): Promise<number> {
  if (metricsAddress === undefined) throw new Error("metrics are off");
  const page = await (await fetch(`http://${metricsAddress}/metrics`)).text();
  const gauges = [...page.matchAll(/^rollcall_readers\{state="(?:lagging|resyncing)"\} (\d+)$/gm)];
  if (gauges.length !== 2) throw new Error("the metrics have no gauges of lagging and resyncing readers");
  return gauges.reduce((sum, [, count]) => sum + Number(count), 0);
}
