import { isForgettable, type Member, pendingPairs, stranger } from "../channel/member.js";
import { type Head, seal } from "../channel/seal.js";
import { type ChannelId, type ChannelKey, channelKey } from "../model/channel_id.js";
import type { Delta } from "../model/delta.js";
import type { Position } from "../model/position.js";
import type { UserState } from "../model/user_state.js";
import type { Clock } from "../time/clock.js";
import { Deadlines } from "../time/deadlines.js";
import { DeltaLog, type LogLimits } from "./delta_log.js";
import type {
  ChannelSnapshot,
  ChannelSummary,
  Commit,
  Committed,
  Engine,
  EngineStats,
  MemberPage,
  MemberRecord,
  OnChannelDeltas,
  SessionPlace,
  StopWatching,
  UserPlace,
} from "./engine.js";

/** Settings of the memory engine. */
export interface MemoryEngineOptions {
  readonly clock: Clock;
  /** Makes a name for a new life of a channel's history; never the same twice. */
  readonly newEpoch: () => string;
  /** How long an empty channel's history may still be resumed, in ms (S23: 60000). */
  readonly resumeTtlMs: number;
  /** How much of a channel's history is kept. */
  readonly log: LogLimits;
}

interface Channel {
  readonly id: ChannelId;
  readonly key: ChannelKey;
  readonly epoch: string;
  head: Head;
  /** Everybody of whom something is known. */
  readonly members: Map<string, Member>;
  /** Who is present, in the order of joining. */
  readonly present: Map<string, UserState>;
  readonly log: DeltaLog;
  readonly watchers: Set<(deltas: readonly Delta[]) => void>;
}

/** What a user has over all channels. */
interface User {
  /** In no order. Few for each user, and very many users: a list is smaller than a map. */
  readonly channels: Channel[];
  joinedChannels: number;
  pendingPairs: number;
  /** Another one whenever one of the two above changes; never used twice, not even by a user who was forgotten. */
  version: number;
}

/** Keeps channels in this process: the default. Every call answers in the same turn of the event loop. */
export class MemoryEngine implements Engine {
  readonly #channels = new Map<ChannelKey, Channel>();
  readonly #users = new Map<string, User>();
  readonly #sessions = new Map<string, SessionPlace>();
  readonly #watchersOfAll = new Set<OnChannelDeltas>();
  readonly #emptied: Deadlines<ChannelKey>;
  #present = 0;
  #lastUserVersion = 0;

  constructor(private readonly options: MemoryEngineOptions) {
    this.#emptied = new Deadlines(options.clock, (key) => this.#forget(key));
  }

  read(channel: ChannelId, userId: string): MemberRecord {
    const member = this.#channels.get(channelKey(channel))?.members.get(userId);
    const user = this.#users.get(userId);
    const here = member ?? stranger(userId);
    return {
      member: here,
      elsewhere: {
        channels: (user?.joinedChannels ?? 0) - (here.sessions.length > 0 ? 1 : 0),
        pendingPairs: (user?.pendingPairs ?? 0) - pendingPairs(here),
      },
      version: member,
      userVersion: user?.version ?? 0,
    };
  }

  commit({ channel: id, read, outcome, wall, dependsOnElsewhere }: Commit): Committed | "conflict" {
    const { userId } = read.member;
    const key = channelKey(id);
    if (this.#channels.get(key)?.members.get(userId) !== read.version) return "conflict";
    if (dependsOnElsewhere && (this.#users.get(userId)?.version ?? 0) !== read.userVersion) return "conflict";

    const channel = this.#channels.get(key) ?? this.#open(id, key);
    const { member, deltas, head } = seal(read.member, outcome, channel.head, wall);
    this.#present += head.occupancy - channel.head.occupancy;
    channel.head = head;
    this.#store(channel, read.member, member);
    if (deltas.length > 0) {
      for (const delta of deltas) channel.log.append(delta);
      for (const onDeltas of channel.watchers) onDeltas(deltas);
      for (const onDeltas of this.#watchersOfAll) onDeltas(channel.id, channel.epoch, deltas);
    }
    return { member, deltas, ...summaryOf(channel) };
  }

  summary(channel: ChannelId): ChannelSummary {
    const found = this.#channels.get(channelKey(channel));
    return found ? summaryOf(found) : { position: { epoch: "", revision: 0 }, occupancy: 0 };
  }

  snapshot(channel: ChannelId): ChannelSnapshot {
    const found = this.#channels.get(channelKey(channel));
    return { ...this.summary(channel), users: found ? [...found.present.values()] : [] };
  }

  page(channel: ChannelId, after: number, limit: number): MemberPage {
    const found = this.#channels.get(channelKey(channel));
    const users: UserState[] = [];
    let last = after;
    let more = false;
    for (const [userId, state] of found?.present ?? []) {
      const { joinRevision } = found!.members.get(userId)!.presence!;
      if (joinRevision <= after) continue;
      if (users.length === limit) {
        more = true;
        break;
      }
      users.push(state);
      last = joinRevision;
    }
    return { ...this.summary(channel), users, next: more ? last : undefined };
  }

  watch(id: ChannelId, onDeltas: (deltas: readonly Delta[]) => void): StopWatching {
    const key = channelKey(id);
    const channel = this.#channels.get(key) ?? this.#open(id, key);
    channel.watchers.add(onDeltas);
    this.#scheduleForgetting(channel);
    return () => {
      channel.watchers.delete(onDeltas);
      this.#scheduleForgetting(channel);
    };
  }

  watchAll(onDeltas: OnChannelDeltas): StopWatching {
    // A wrapper of its own, so that who watches twice hears twice, and stops each by itself.
    const watcher: OnChannelDeltas = (...heard) => onDeltas(...heard);
    this.#watchersOfAll.add(watcher);
    return () => this.#watchersOfAll.delete(watcher);
  }

  occupied(): readonly ChannelId[] {
    const occupied: ChannelId[] = [];
    for (const { id, head } of this.#channels.values()) if (head.occupancy > 0) occupied.push(id);
    return occupied;
  }

  replay(channel: ChannelId, from: Position): readonly Delta[] | undefined {
    const found = this.#channels.get(channelKey(channel));
    if (found?.epoch !== from.epoch || from.revision > found.head.revision) return undefined;
    return found.log.after(from.revision, found.head.revision);
  }

  placesOf(userId: string): readonly UserPlace[] {
    const channels = [...(this.#users.get(userId)?.channels ?? [])];
    channels.sort((a, b) => (a.key < b.key ? -1 : 1));
    return channels.map(({ id, members }) => ({ channel: id, member: members.get(userId)! }));
  }

  findSession(sessionId: string): SessionPlace | undefined {
    return this.#sessions.get(sessionId);
  }

  stats(): EngineStats {
    return { channels: this.#channels.size, present: this.#present, sessions: this.#sessions.size };
  }

  close(): void {
    this.#emptied.clear();
    this.#channels.clear();
    this.#users.clear();
    this.#sessions.clear();
    this.#watchersOfAll.clear();
    this.#present = 0;
  }

  #open(id: ChannelId, key: ChannelKey): Channel {
    const channel: Channel = {
      id,
      key,
      epoch: this.options.newEpoch(),
      head: { revision: 0, occupancy: 0 },
      members: new Map(),
      present: new Map(),
      log: new DeltaLog(this.options.log),
      watchers: new Set(),
    };
    this.#channels.set(key, channel);
    return channel;
  }

  #store(channel: Channel, before: Member, after: Member): void {
    const { userId } = after;
    if (isForgettable(after)) channel.members.delete(userId);
    else channel.members.set(userId, after);

    if (after.presence?.joinRevision !== before.presence?.joinRevision) channel.present.delete(userId);
    if (after.presence) channel.present.set(userId, after.presence.state);

    this.#indexSessions(channel, before, after);
    this.#indexUser(channel, before, after);
    this.#scheduleForgetting(channel);
  }

  #indexSessions(channel: Channel, before: Member, after: Member): void {
    if (before.sessions === after.sessions) return;
    const place = { channel: channel.id, userId: after.userId };
    for (const { id } of before.sessions) this.#sessions.delete(id);
    for (const { id } of after.sessions) this.#sessions.set(id, place);
  }

  #indexUser(channel: Channel, before: Member, after: Member): void {
    const joined = Number(after.sessions.length > 0) - Number(before.sessions.length > 0);
    const pairs = pendingPairs(after) - pendingPairs(before);
    const known = !isForgettable(after);
    if (joined === 0 && pairs === 0 && known === !isForgettable(before)) return;

    const { userId } = after;
    const user = this.#users.get(userId) ?? { channels: [], joinedChannels: 0, pendingPairs: 0, version: 0 };
    user.joinedChannels += joined;
    user.pendingPairs += pairs;
    user.version = ++this.#lastUserVersion;
    const index = user.channels.indexOf(channel);
    if (known && index < 0) user.channels.push(channel);
    if (!known && index >= 0) user.channels.splice(index, 1);
    if (user.channels.length === 0) this.#users.delete(userId);
    else this.#users.set(userId, user);
  }

  /** A channel that nobody needs is kept for as long as its history may be resumed, and no longer (S23). */
  #scheduleForgetting(channel: Channel): void {
    const needed = channel.members.size > 0 || channel.watchers.size > 0;
    const { clock, resumeTtlMs } = this.options;
    this.#emptied.set(channel.key, needed ? undefined : clock.now().tick + resumeTtlMs);
  }

  #forget(key: ChannelKey): void {
    this.#channels.delete(key);
  }
}

function summaryOf(channel: Channel): ChannelSummary {
  return {
    position: { epoch: channel.epoch, revision: channel.head.revision },
    occupancy: channel.head.occupancy,
  };
}
