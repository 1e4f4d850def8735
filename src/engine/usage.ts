import type { Member } from "../channel/member.js";
import { sizeOf } from "../channel/size.js";
import type { Delta } from "../model/delta.js";
import type { DeltaLog } from "./delta_log.js";
import type { AppUsage } from "./engine.js";

/** What a channel takes beyond its members and log, in bytes: measured on the heap of Node 20. */
const CHANNEL_BYTES = 1400;

/** Whether logs have to give way to other memory: `app` is the usage of the log's app, `logBytes` the size of all logs. */
export type LogsGiveWay = (app: AppUsage, logBytes: number) => boolean;

/** What one app takes, counted with every change. */
export class Usage implements AppUsage {
  channels = 0;
  members = 0;
  pending = 0;
  streams = 0;
  bytes = 0;
  logBytes = 0;
}

/** What all apps take, counted with every change. */
export class Usages {
  /** Only apps that have channels. */
  readonly #apps = new Map<string, Usage>();
  #bytes = 0;
  #logBytes = 0;

  /** `logsGiveWay`: see `MemoryEngineOptions`. */
  constructor(private readonly logsGiveWay: LogsGiveWay | undefined) {}

  get apps(): ReadonlyMap<string, AppUsage> {
    return this.#apps;
  }

  /** Approximate memory of all apps. */
  get bytes(): number {
    return this.#bytes;
  }

  /** A channel of the app begins; gives the app's usage, in which the channel is counted until it is closed. */
  open(app: string): Usage {
    let usage = this.#apps.get(app);
    if (!usage) {
      usage = new Usage();
      this.#apps.set(app, usage);
    }
    usage.channels += 1;
    this.#grow(usage, CHANNEL_BYTES);
    return usage;
  }

  /** A channel without members is forgotten, with its log. */
  close(app: string, usage: Usage, log: DeltaLog): void {
    this.#growLog(usage, -log.memoryBytes);
    this.#grow(usage, -CHANNEL_BYTES);
    usage.channels -= 1;
    if (usage.channels === 0) this.#apps.delete(app);
  }

  /** A member has changed. */
  change(usage: Usage, before: Member, after: Member): void {
    const was = sizeOf(before);
    const is = sizeOf(after);
    usage.members += is.members - was.members;
    usage.pending += is.pending - was.pending;
    usage.streams += is.streams - was.streams;
    this.#grow(usage, is.bytes - was.bytes);
  }

  /** Appends to a channel's log, and drops its oldest changes while logs have to give way. */
  log(usage: Usage, log: DeltaLog, deltas: readonly Delta[]): void {
    const before = log.memoryBytes;
    for (const delta of deltas) log.append(delta);
    this.#growLog(usage, log.memoryBytes - before);
    while (this.logsGiveWay?.(usage, this.#logBytes)) {
      const longer = log.memoryBytes;
      if (!log.dropOldest()) return;
      this.#growLog(usage, log.memoryBytes - longer);
    }
  }

  /** Forgets everything. */
  clear(): void {
    this.#apps.clear();
    this.#bytes = 0;
    this.#logBytes = 0;
  }

  #grow(usage: Usage, bytes: number): void {
    usage.bytes += bytes;
    this.#bytes += bytes;
  }

  #growLog(usage: Usage, bytes: number): void {
    this.#logBytes += bytes;
    usage.logBytes += bytes;
    this.#grow(usage, bytes);
  }
}
