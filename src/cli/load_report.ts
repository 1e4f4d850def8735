import type { Colors } from "./io.js";
import { Latencies } from "./latencies.js";
import { printable } from "./printable.js";

/** What a load generator has seen. */
export class LoadTally {
  joins = 0;
  updates = 0;
  deliveries = 0;
  /** How often each reason was met: an ErrorReason, or a gRPC status where there is none. */
  readonly errors = new Map<string, number>();
  /** From the SetState call to the event in a reader, in ms. */
  readonly latencies = new Latencies();

  /** Counts a failure. */
  failed(reason: string): void {
    this.errors.set(reason, (this.errors.get(reason) ?? 0) + 1);
  }
}

/** What is told at the end. */
export interface LoadReport {
  readonly users: number;
  readonly channels: number;
  /** How long updates were made, in seconds. */
  readonly seconds: number;
  readonly joins: number;
  readonly updates: number;
  readonly deliveries: number;
  readonly errors: Readonly<Record<string, number>>;
  /** In ms; absent when nothing was delivered. */
  readonly latency?: { readonly p50: number; readonly p90: number; readonly p99: number; readonly max: number };
}

/** Sums a run up. */
export function reportOfLoad(
  { users, channels }: { readonly users: number; readonly channels: number },
  seconds: number,
  { joins, updates, deliveries, errors, latencies }: LoadTally,
): LoadReport {
  const round = (ms: number): number => Math.round(ms * 1000) / 1000;
  const at = (share: number): number => round(latencies.percentile(share));
  return {
    users,
    channels,
    seconds: round(seconds),
    joins,
    updates,
    deliveries,
    errors: Object.fromEntries(errors),
    ...(latencies.count > 0 && {
      latency: { p50: at(0.5), p90: at(0.9), p99: at(0.99), max: round(latencies.max) },
    }),
  };
}

/** The report for people, line by line. */
export function loadLines(report: LoadReport, { bold, red }: Pick<Colors, "bold" | "red">): string[] {
  const { seconds, joins, updates, deliveries, errors, latency } = report;
  const perSecond = (count: number): string => (seconds > 0 ? `  (${(count / seconds).toFixed(1)}/s)` : "");
  const line = (name: string, text: string): string => `${bold(name.padEnd(10))}  ${text}`;
  const reasons = Object.entries(errors).sort(([, a], [, b]) => b - a);
  const failed = reasons.map(([reason, count]) => red(`${printable(reason)} ${count}`)).join("  ");
  return [
    line("joins", `${joins} of ${report.users} users, in ${report.channels} channels`),
    line("updates", `${updates}${perSecond(updates)}`),
    line("deliveries", `${deliveries}${perSecond(deliveries)}`),
    line(
      "latency",
      latency
        ? Object.entries(latency)
            .map(([name, ms]) => `${name} ${ms.toFixed(2)} ms`)
            .join("  ")
        : "–",
    ),
    line("errors", failed || "none"),
  ];
}
