import { createServer, type Server } from "node:http";
import type { AddressInfo } from "node:net";
import { Counter, collectDefaultMetrics, Gauge, Histogram, Registry } from "prom-client";
import type { AppUsage, Engine } from "../engine/engine.js";
import type { Feed } from "../fanout/feed.js";
import type { Hub } from "../fanout/hub.js";
import type { ListenAddress } from "../rpc/connections.js";
import type { GrpcServer } from "../rpc/grpc_server.js";
import { QUOTAS } from "../service/admission.js";
import type { LogWriter } from "./log_writer.js";
import type { MemoryLimit } from "./memory_limit.js";

/** What the metrics read. */
export interface MetricsSources {
  readonly engine: Engine;
  readonly hub: Hub;
  readonly feed: Feed;
  readonly grpc: GrpcServer;
  readonly logWriter: LogWriter;
  readonly memory: Pick<MemoryLimit, "usedBytes" | "limitBytes">;
  /** Whether to show what each app takes: where quotas are set. */
  readonly perApp: boolean;
}

function sum(usages: Iterable<AppUsage>, what: "bytes" | "pending"): number {
  let total = 0;
  for (const usage of usages) total += usage[what];
  return total;
}

/** The server's metrics. What can be read off when asked costs nothing in between. */
export class Metrics {
  readonly #registry = new Registry();
  readonly #calls: Counter<"method" | "reason">;
  readonly #seconds: Histogram<"method">;
  #http: Server | undefined;

  constructor(sources: MetricsSources) {
    const registers = [this.#registry];
    collectDefaultMetrics({ register: this.#registry });
    this.#calls = new Counter({
      name: "rollcall_calls_total",
      help: "Calls answered, by method and reason (OK, or an ErrorReason)",
      labelNames: ["method", "reason"],
      registers,
    });
    this.#seconds = new Histogram({
      name: "rollcall_call_seconds",
      help: "Time from a call's request to its answer; for streams, their life",
      labelNames: ["method"],
      buckets: [0.0005, 0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 10, 60, 600, 3600],
      registers,
    });
    const gauge = (name: string, help: string, read: () => number): void => {
      new Gauge({
        name,
        help,
        registers,
        collect() {
          this.set(read());
        },
      });
    };
    const { engine, hub, feed, grpc, memory, perApp, logWriter } = sources;
    gauge("rollcall_connections", "Open connections", () => grpc.connections);
    gauge(
      "rollcall_refused_connections",
      "Connections refused since the start because their address had too many",
      () => grpc.refusedConnections,
    );
    gauge(
      "rollcall_delayed_calls",
      "Calls delayed because their connection makes too many that no user pays for",
      () => grpc.delayedCalls,
    );
    gauge("rollcall_unread_bytes", "Bytes of answers and ends of streams not read by clients", () => grpc.unreadBytes);
    gauge("rollcall_channels", "Channels that use memory", () => engine.stats().channels);
    gauge("rollcall_present", "Users present, counted once per channel", () => engine.stats().present);
    gauge("rollcall_sessions", "Sessions: attached, detached, leases", () => engine.stats().sessions);
    gauge("rollcall_kept_bytes", "Approximate memory of channels, users, states and their histories", () =>
      sum(engine.usages().values(), "bytes"),
    );
    gauge("rollcall_pending_states", "States that wait for a join, one per user and channel", () =>
      sum(engine.usages().values(), "pending"),
    );
    gauge(
      "rollcall_memory_used_bytes",
      "Heap and external memory in use without garbage, an estimate",
      () => memory.usedBytes,
    );
    gauge(
      "rollcall_memory_limit_bytes",
      "Memory in use above which nothing new is accepted; 0: no limit",
      () => memory.limitBytes,
    );
    if (perApp) this.#gaugeApps(engine);
    gauge(
      "rollcall_delivered_events",
      "Events written to readers and watchers since the start",
      () => hub.stats().delivered + feed.stats().delivered,
    );
    gauge(
      "rollcall_dropped_log_lines",
      "Log lines dropped since the start because standard error was not read fast enough or failed",
      () => logWriter.dropped,
    );
    const byState = (name: string, who: string, read: () => Readonly<Record<string, number>>): void => {
      new Gauge({
        name,
        help: `${who} by state: live, lagging (reads too slowly), resyncing (is being given snapshots)`,
        labelNames: ["state"],
        registers,
        collect() {
          for (const [state, count] of Object.entries(read())) this.set({ state }, count);
        },
      });
    };
    byState("rollcall_readers", "Readers", () => hub.stats().readers);
    byState("rollcall_watchers", "Watchers of many channels", () => feed.stats().watchers);
  }

  #gaugeApps(engine: Engine): void {
    new Gauge({
      name: "rollcall_app_usage",
      help: "What an app takes of each quota",
      labelNames: ["app", "quota"],
      registers: [this.#registry],
      collect() {
        // An app without channels is not there any more.
        this.reset();
        for (const [app, usage] of engine.usages()) {
          for (const quota of QUOTAS) this.set({ app, quota }, usage[quota]);
        }
      },
    });
  }

  /** Counts a call. */
  onCall(method: string, reason: string, seconds: number): void {
    this.#calls.inc({ method, reason });
    this.#seconds.observe({ method }, seconds);
  }

  /** Serves `/metrics`; resolves with the address as it turned out. */
  listen(address: ListenAddress): Promise<ListenAddress> {
    const http = createServer((request, response) => {
      if (request.url !== "/metrics") {
        response.writeHead(404).end("metrics are at /metrics\n");
        return;
      }
      this.#registry.metrics().then(
        (text) => response.writeHead(200, { "content-type": this.#registry.contentType }).end(text),
        () => response.writeHead(500).end(),
      );
    });
    this.#http = http;
    return new Promise((resolve, reject) => {
      http.once("error", reject);
      http.listen(address.port, address.host, () => {
        http.off("error", reject);
        resolve({ host: address.host, port: (http.address() as AddressInfo).port });
      });
    });
  }

  /** Stops serving. */
  close(): void {
    this.#http?.close();
    this.#http?.closeAllConnections();
    this.#registry.clear();
  }
}
