import { startTestServer } from "../support/server.js";
import type { Runner } from "./runner.js";

const CONNECTIONS = 30;

/** By how much the last connections may take longer, in milliseconds, however short the first took: machines are busy. */
const NOISE_MS = 200;

/**
 * Opens 30 connections, one after the other. Resolves with the medians of the first three and the last ten, for the
 * report; rejects if the last take over three times as long as the first.
 */
export async function shortConnections(open: () => Promise<void>): Promise<string> {
  const times: number[] = [];
  for (let i = 0; i < CONNECTIONS; i++) {
    const began = performance.now();
    await open();
    times.push(performance.now() - began);
  }
  const [first, last] = [median(times.slice(0, 3)), median(times.slice(-10))];
  const figures = `first three ${first.toFixed(1)} ms, last ten ${last.toFixed(1)} ms`;
  if (last > Math.max(3 * first, first + NOISE_MS)) throw new Error(figures);
  return figures;
}

/** The same with a client library: a connection is a channel with one call, which is refused, that is then closed. */
export async function shortConnectionsOf(runner: Runner): Promise<string> {
  const server = await startTestServer();
  const request = { channel: { type: "CHANNEL_TYPE_MESSAGE", name: "chat_room" }, userId: "nobody" };
  try {
    return await shortConnections(async () => {
      await runner.connect(server.address);
      const { error } = await runner.tell({ call: "GetState", request });
      if (error?.code !== "NOT_FOUND") throw new Error(`GetState: expected NOT_FOUND, got ${JSON.stringify(error)}`);
      await runner.tell({ close: true });
    });
  } finally {
    await server.close();
  }
}

function median(values: readonly number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  return sorted[Math.floor(sorted.length / 2)]!;
}
