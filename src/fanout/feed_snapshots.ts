import { type ChannelId, type ChannelKey, channelKey } from "../model/channel_id.js";
import type { Position } from "../model/position.js";
import type { UserState } from "../model/user_state.js";
import type { Clock, Timer } from "../time/clock.js";
import type { FeedSource } from "./feed_ports.js";
import type { EventCodec, SourceSnapshot } from "./ports.js";
import { MAX_CHUNK_BYTES, SharedSnapshot } from "./snapshot.js";
import { SEGMENT_USERS, SnapshotUsers } from "./snapshot_users.js";

/** How long a snapshot is kept that is not asked for, in ms: between one and two times as long. */
const KEEP_MS = 5000;

/** Maximum size of the snapshots that are kept, in bytes. */
const MAX_KEPT_BYTES = 16 * 1024 * 1024;

/** A channel at a position. */
export interface ChannelAt {
  readonly position: Position;
  readonly occupancy: number;
  /** `undefined` if the channel is vacant. */
  readonly snapshot: SharedSnapshot | undefined;
}

/**
 * Snapshots for the rounds of all feeds. That of a large channel is encoded once for all that ask for it at the same
 * position, at the same time or soon after: a watcher that comes back again and again costs no more than its bytes.
 */
export class FeedSnapshots {
  /** Those asked for last at the end. */
  #recent = new Map<ChannelKey, ChannelAt>();
  /** Those that were not asked for since the last look. */
  #older = new Map<ChannelKey, ChannelAt>();
  #timer: Timer | undefined;

  constructor(
    private readonly options: { readonly clock: Clock; readonly codec: EventCodec; readonly source: FeedSource },
  ) {}

  /** The channel as it is now. */
  take(id: ChannelId): ChannelAt | Promise<ChannelAt> {
    const key = channelKey(id);
    if (!this.#recent.has(key) && !this.#older.has(key)) return this.#takeNew(id, key);
    const { source } = this.options;
    const use = ({ position }: { readonly position: Position }) =>
      this.#keptAt(key, position) ?? this.#takeNew(id, key);
    const summary = source.summary(id);
    return summary instanceof Promise ? summary.then(use) : use(summary);
  }

  #takeNew(id: ChannelId, key: ChannelKey): ChannelAt | Promise<ChannelAt> {
    // Others may have asked for the same at the same time, and have been answered first.
    const use = (answer: SourceSnapshot): ChannelAt =>
      this.#keptAt(key, answer.position) ?? this.#make(id, key, answer);
    const answer = this.options.source.snapshot(id);
    return answer instanceof Promise ? answer.then(use) : use(answer);
  }

  /** The snapshot that is kept of this position, which it is then for longer. */
  #keptAt(key: ChannelKey, { epoch, revision }: Position): ChannelAt | undefined {
    const kept = this.#recent.get(key) ?? this.#older.get(key);
    if (kept?.position.epoch !== epoch || kept.position.revision !== revision) return undefined;
    this.#keep(key, kept);
    return kept;
  }

  #make(id: ChannelId, key: ChannelKey, { position, users }: SourceSnapshot): ChannelAt {
    const { codec, clock } = this.options;
    const occupancy = users.length;
    if (occupancy === 0) return { position, occupancy, snapshot: undefined };
    const snapshot = new SharedSnapshot({
      codec: codec.forChannel(id, position.epoch),
      eventCodec: codec,
      occupancy,
      users: inSteps(users),
      revision: position.revision,
      time: clock.now().wall,
      maxChunkBytes: MAX_CHUNK_BYTES,
    });
    const taken = { position, occupancy, snapshot };
    if (occupancy > SEGMENT_USERS) this.#keep(key, taken);
    return taken;
  }

  #keep(key: ChannelKey, taken: ChannelAt): void {
    this.#older.delete(key);
    this.#recent.delete(key);
    this.#recent.set(key, taken);
    let bytes = 0;
    for (const kept of [this.#recent, this.#older]) {
      for (const [other, { snapshot }] of [...kept].reverse()) {
        bytes += snapshot!.bytes;
        if (bytes > MAX_KEPT_BYTES && other !== key) kept.delete(other);
      }
    }
    this.#timer ??= this.options.clock.setTimer(KEEP_MS, () => this.#age());
  }

  #age(): void {
    this.#older = this.#recent;
    this.#recent = new Map();
    this.#timer = this.#older.size > 0 ? this.options.clock.setTimer(KEEP_MS, () => this.#age()) : undefined;
  }
}

/** Users that are encoded in one step; other work gets its turn between two steps. */
function inSteps(states: readonly UserState[]): readonly SnapshotUsers[] {
  const steps: SnapshotUsers[] = [];
  for (let from = 0; from < states.length; from += SEGMENT_USERS) {
    const step = states.slice(from, from + SEGMENT_USERS);
    const users = step.map((state) => ({ state, bytes: undefined }));
    steps.push(new SnapshotUsers(users, false));
  }
  return steps;
}
