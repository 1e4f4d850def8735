import { pino } from "pino";
import { MemoryEngine } from "../engine/memory.js";
import { Feed } from "../fanout/feed.js";
import { Heartbeats } from "../fanout/heartbeats.js";
import { Hub } from "../fanout/hub.js";
import { SharedCodec } from "../fanout/shared_codec.js";
import { GrpcServer } from "../rpc/grpc_server.js";
import { DISABLED_WITHOUT, probeTransport } from "../rpc/transport_probe.js";
import { logsExceed, quotasOf } from "../service/admission.js";
import { PresenceService } from "../service/presence_service.js";
import type { Clock } from "../time/clock.js";
import { RunningClock } from "../time/running_clock.js";
import { eventCodec } from "../wire/event_codec.js";
import { feedCodec } from "../wire/feed_codec.js";
import { authentication } from "./authentication.js";
import { paceOf, rulesOf } from "./channel_settings.js";
import { isAuthenticating } from "./check_security.js";
import { randomEpochs } from "./epochs.js";
import { resolveSettings } from "./given_settings.js";
import { LogWriter } from "./log_writer.js";
import { MemoryLimit, processMemory, shareOfHeap } from "./memory_limit.js";
import { Metrics } from "./metrics.js";
import { nodeWarning } from "./node_release.js";
import { revisionsByTime } from "./revisions.js";
import { type Warn, warnOfExposure } from "./security_warnings.js";
import { deprecatedFlags, formatAddress, type ServerSettings } from "./settings.js";
import { readTls, watchTls } from "./tls_files.js";

/** How long the last log lines may take to be written when the server has stopped, in ms. */
const LOG_FLUSH_MS = 1000;

/** Clients that are sent away come back after a random time of at most this, in ms (S24). */
const DRAIN_JITTER_MS = 5000;

/** A server that runs. */
export interface RollcallServer {
  /** `host:port`, where clients reach it. */
  readonly address: string;
  /** `host:port` of the metrics, if they are served. */
  readonly metricsAddress: string | undefined;
  readonly settings: ServerSettings;
  /** Whether callers show who they are (S20); otherwise they are believed. */
  readonly authenticates: boolean;
  /**
   * Reads the files of `--tls-cert`, `--tls-key` and `--tls-client-ca` again, for new connections; those that are open
   * stay. What cannot be used is logged, and the old ones stay. Happens by itself when the files change. Without these
   * settings it does nothing but log a line.
   */
  reloadTls(): void;
  /**
   * Shuts down gracefully (S24): reports NOT_SERVING, serves on for `settings.shutdownDelay`, then ends streams and
   * answers calls within `settings.drainTime`. Resolves when nothing is left. A second call waits for the first.
   */
  close(): Promise<void>;
}

/** Parts that a test may want to hold in its own hands. */
export interface ServerParts {
  /** Default: the machine's, less the time in which the process stood still. */
  readonly clock?: Clock;
}

/**
 * Starts a server. Settings that are not given, or are `undefined`, have their defaults.
 *
 * Rejects with a SettingError if one of them is not allowed or they make no sense together, and with the error of `net` (EADDRINUSE, EACCES…) if it
 * cannot listen; nothing is left running then.
 */
export async function startServer(
  given: Partial<ServerSettings> = {},
  parts: ServerParts = {},
): Promise<RollcallServer> {
  const settings = resolveSettings(given);
  const logWriter = new LogWriter(process.stderr, (count) => log.warn({ count }, "log lines dropped"));
  const log = pino({ level: settings.logLevel, base: { pid: process.pid } }, logWriter);
  const onError = (error: unknown): void => log.error({ err: error }, "failed inside");
  const warn: Warn = (setting, why) => log.warn({ setting, why }, "insecure setting");
  warnOfExposure(settings, warn);
  const identities = authentication({
    settings,
    now: Date.now,
    log,
    warn,
    onKeysChanged: () => service.keysChanged(),
  });
  const tls = readTls(settings, warn);
  const missing = await probeTransport();
  for (const part of missing) {
    log.warn({ missing: part, disabled: DISABLED_WITHOUT[part] }, "this release of Node or grpc-js is not supported");
  }

  const running = parts.clock ? undefined : new RunningClock();
  const clock = parts.clock ?? running!;
  const engine = new MemoryEngine({
    clock,
    newEpoch: randomEpochs(),
    newRevision: revisionsByTime(clock),
    resumeTtlMs: settings.resumeTtl,
    log: { maxEvents: settings.resumeEvents, maxBytes: settings.resumeBytes },
    logsGiveWay: (app, logBytes) => logBytes > settings.resumeTotalBytes || logsExceed(settings, app) || memory.isShort,
  });
  const memory: MemoryLimit = new MemoryLimit({
    clock,
    source: processMemory,
    limitBytes: shareOfHeap(settings.maxMemoryPercent),
    kept: () => engine.bytes,
  });
  const fanout = {
    clock,
    codec: new SharedCodec(eventCodec),
    source: engine,
    maxBacklogBytes: settings.readerBuffer,
    laggingTimeoutMs: settings.laggingTimeout,
    paceOf: paceOf(settings),
    schedule: setImmediate,
  };
  const hub: Hub = new Hub({
    ...fanout,
    onDropped: (reader, { reason }) => {
      log.warn({ user: reader.userId, reason }, "reader dropped");
      service.readerDropped(reader);
    },
  });
  const feed: Feed = new Feed({
    ...fanout,
    feedCodec,
    onDropped: (reader, { reason }) => {
      log.warn({ reason }, "watcher dropped");
      service.watcherDropped(reader);
    },
  });
  const service: PresenceService = new PresenceService({
    engine,
    hub,
    feed,
    codec: eventCodec,
    clock,
    schedule: setImmediate,
    isKeyPublished: identities.isKeyPublished,
    isMemoryShort: () => memory.isShort,
    onError,
    settings: {
      rulesOf: rulesOf(settings, {
        limits: settings,
        sameUser: settings.sameUser,
        pendingTtlMs: settings.pendingTtl,
      }),
      presenceTimeoutMs: settings.presenceTimeout,
      leaseTtlMs: settings.leaseTtl,
      leaveOnCancel: settings.leaveOnCancel,
      streamHeartbeatMs: settings.streamHeartbeat,
      streamTokenGraceMs: settings.streamTokenGrace,
      rates: settings,
      quotas: settings,
      drainJitterMs: DRAIN_JITTER_MS,
    },
  });
  let metrics: Metrics | undefined;
  const onCall = (method: string, reason: string, seconds: number): void => {
    metrics?.onCall(method, reason, seconds);
    log.debug({ method, reason, ms: Math.round(seconds * 1e6) / 1e3 }, "call");
  };
  const grpc = new GrpcServer({
    service,
    heartbeats: new Heartbeats(clock),
    clock,
    authenticate: identities.authenticate,
    tls: tls && { material: tls, onRefused: ({ message }) => log.debug({ why: message }, "connection refused") },
    keepaliveMs: settings.keepalive,
    keepaliveTimeoutMs: settings.keepaliveTimeout,
    maxRequestBytes: settings.maxRequestBytes,
    maxBatchBytes: settings.maxBatchBytes,
    maxConnectionsPerAddress: settings.maxConnectionsPerAddress,
    maxStreamsPerConnection: settings.maxStreamsPerConnection,
    requestTimeoutMs: settings.requestTimeout,
    maxUnfinishedBytes: settings.maxUnfinishedBytes,
    laggingTimeoutMs: settings.laggingTimeout,
    maxUnreadBytes: settings.maxUnreadBytes,
    reflection: settings.reflection === "on",
    missing,
    onError: (error, method) => log.error({ err: error, method }, "call failed inside"),
    onCall: settings.metrics || log.isLevelEnabled("debug") ? onCall : undefined,
  });

  const reloadTls = (): void => {
    try {
      const renewed = readTls(settings, warn);
      if (renewed) grpc.renewTls(renewed);
      log.info(renewed ? "certificates read again" : "nothing to reload: the server has no certificates");
    } catch (error) {
      log.error({ why: (error as Error).message }, "certificates cannot be used; the old ones stay");
    }
  };
  const goDown = async (): Promise<void> => {
    const { shutdownDelay } = settings;
    // The clock's timers do not keep the process alive, and nothing else may be left that does.
    const alive = setInterval(() => {}, 60_000);
    grpc.stopServing();
    if (shutdownDelay > 0) {
      log.info({ shutdownDelay }, "not serving");
      await new Promise<void>((resolve) => clock.setTimer(shutdownDelay, resolve));
    }
    log.info({ streams: service.openStreams }, "draining");
    const clean = await stop();
    log.info({ clean }, "stopped");
    await logWriter.flush(LOG_FLUSH_MS);
    clearInterval(alive);
  };
  const stopWatching = watchTls(settings, reloadTls);
  const stop = async (): Promise<boolean> => {
    stopWatching();
    const clean = await grpc.close(settings.drainTime);
    metrics?.close();
    identities.close();
    service.close();
    memory.close();
    engine.close();
    running?.close();
    return clean;
  };
  try {
    const address = formatAddress(await grpc.listen(settings.listen));
    let metricsAddress: string | undefined;
    if (settings.metrics) {
      metrics = new Metrics({ engine, hub, feed, grpc, logWriter, memory, perApp: quotasOf(settings).length > 0 });
      metricsAddress = formatAddress(await metrics.listen(settings.metrics));
    }
    log.info({ address, metrics: metricsAddress }, "listening");
    for (const flag of deprecatedFlags(settings)) log.warn({ flag }, "deprecated setting has no effect");
    const warning = nodeWarning(settings.listen.host, process.versions.node);
    if (warning) log.warn(warning);
    let closing: Promise<void> | undefined;
    return {
      address,
      metricsAddress,
      settings,
      authenticates: isAuthenticating(settings),
      reloadTls,
      close: () => {
        closing ??= goDown();
        return closing;
      },
    };
  } catch (error) {
    await stop();
    await logWriter.flush(LOG_FLUSH_MS);
    throw error;
  }
}
