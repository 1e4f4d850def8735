import { setTimeout as sleep } from "node:timers/promises";
import type { Load } from "./load.js";

/** How changes are to be made. */
export interface FireOrder {
  seconds: number;
  /** Changes that are sent in one write; the next follow when all are answered and delivered. */
  burst: number;
  /** Into the channels with readers, one after the other, or into the one without. */
  where: "readers" | "alone";
}

/** Changes at a fixed rate, whether or not the earlier ones have arrived. */
export interface SteadyOrder {
  seconds: number;
  perSecond: number;
}

/** What came of it. Latencies in microseconds. */
export interface Fired {
  changes: number;
  deliveries: number;
  seconds: number;
  p50: number;
  p99: number;
  bytes: number;
  messages: number;
  resyncs: number;
  /** How busy the load process was, as a share of one core. Near 1, it is the load that sets the pace. */
  busy: number;
}

/** However slow the server is: the first rounds are not like the later ones. */
const LEAST_ROUNDS = 5;

/** Makes changes in a closed loop: never more than one burst is on its way. */
export function fire(load: Load, { seconds, burst, where }: FireOrder): Promise<Fired> {
  const channels = load.channelsToChange(where);
  let next = 0;
  return measured(load, async (start) => {
    for (let round = 0; round < LEAST_ROUNDS || performance.now() - start < seconds * 1000; round++) {
      const batch = Array.from({ length: burst }, () => channels[next++ % channels.length]!);
      load.change(batch);
      await load.tally.settled();
    }
  });
}

/** Makes changes at a fixed rate in the first channel. */
export function steady(load: Load, { seconds, perSecond }: SteadyOrder): Promise<Fired> {
  return measured(load, async (start) => {
    const total = seconds * perSecond;
    for (let sent = 0; sent < total; sent++) {
      const wait = start + (sent * 1000) / perSecond - performance.now();
      if (wait > 0) await sleep(wait);
      load.change([0]);
    }
    await load.tally.settled();
  });
}

async function measured(load: Load, run: (start: number) => Promise<void>): Promise<Fired> {
  const { tally } = load;
  const before = {
    changes: tally.changes,
    delivered: tally.delivered,
    bytes: load.bytesReceived(),
    messages: tally.messages,
  };
  tally.latency.reset();
  const cpu = process.cpuUsage();
  const start = performance.now();
  await run(start);
  const seconds = (performance.now() - start) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return {
    changes: tally.changes - before.changes,
    deliveries: tally.delivered - before.delivered,
    seconds,
    p50: tally.latency.quantile(0.5),
    p99: tally.latency.quantile(0.99),
    bytes: load.bytesReceived() - before.bytes,
    messages: tally.messages - before.messages,
    resyncs: tally.resyncs,
    busy: (user + system) / 1e6 / seconds,
  };
}
