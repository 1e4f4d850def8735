import { hasAttached, isForgettable, type Member, pendingPairs, stranger } from "../channel/member.js";
import { type Head, seal } from "../channel/seal.js";
import { appOf, type ChannelId, type ChannelKey, channelKey, type UserKey, userKey } from "../model/channel_id.js";
import type { Delta } from "../model/delta.js";
import type { Position } from "../model/position.js";
import { matcher, type States, type UserState } from "../model/user_state.js";
import type { Clock } from "../time/clock.js";
import { Deadlines } from "../time/deadlines.js";
import { DeltaLog, type LogLimits } from "./delta_log.js";
import {
  type AppUsage,
  type ChannelSnapshot,
  type ChannelSummary,
  type Commit,
  type Committed,
  type Engine,
  type EngineStats,
  type MemberCount,
  type MemberPage,
  type MemberRecord,
  type OnChannelDeltas,
  type SessionPlace,
  SLICE_USERS,
  type StopWatching,
  type UserPlace,
} from "./engine.js";
import { Roster } from "./roster.js";
import { type LogsGiveWay, type Usage, Usages } from "./usage.js";

/** Settings of the memory engine. */
export interface MemoryEngineOptions {
  readonly clock: Clock;
  /** Makes a name for a new life of a channel's history; never the same twice. */
  readonly newEpoch: () => string;
  /**
   * Returns a number that is greater than `above` (-1 or more) and than all numbers that earlier processes were given.
   * Whole, below 2^52. A life of a channel begins at one; to a pending state 2^52 is added.
   */
  readonly newRevision: (above: number) => number;
  /** How long an empty channel's history may still be resumed, in ms (S23: 60000). */
  readonly resumeTtlMs: number;
  /** How much of a channel's history is kept. */
  readonly log: LogLimits;
  /**
   * Whether logs have to give way, so that a channel drops the oldest changes of its log with each commit until it is
   * false or the log is empty: `app` is the usage of the channel's app, `logBytes` the memory of all logs. Default:
   * never.
   */
  readonly logsGiveWay?: LogsGiveWay;
}

/** Pending states have revisions from here to 2^53, so that none is ever that of a state that is seen. */
const PENDING_REVISIONS = 2 ** 52;

const NO_USAGE: AppUsage = { channels: 0, members: 0, pending: 0, streams: 0, bytes: 0, logBytes: 0 };

interface Channel {
  readonly id: ChannelId;
  readonly key: ChannelKey;
  readonly epoch: string;
  head: Head;
  /** Everybody of whom something is known. */
  readonly members: Map<string, Entry>;
  /** Who is present, in the order of joining. */
  readonly roster: Roster<Entry>;
  readonly log: DeltaLog;
  readonly watchers: Set<(deltas: readonly Delta[]) => void>;
  /** That of its app. */
  readonly usage: Usage;
}

/** What is known of one user in one channel. */
interface Entry {
  member: Member;
  /** The same for all the user's entries; here, so that it need not be looked for. */
  readonly user: User;
}

/** What a user has over all channels of its app. */
interface User {
  /** In no order. Few for each user, and very many users: a list is smaller than a map. */
  readonly channels: Channel[];
  /** Channels where it has a session. */
  joinedChannels: number;
  /** Channels where it has an attached stream or a lease. */
  attachedChannels: number;
  pendingPairs: number;
  /** Another one whenever one of the three above changes; never used twice, not even by a user who was forgotten. */
  version: number;
}

/** Keeps channels in this process: the default. Every call answers in the same turn of the event loop. */
export class MemoryEngine implements Engine {
  readonly #channels = new Map<ChannelKey, Channel>();
  readonly #users = new Map<UserKey, User>();
  readonly #sessions = new Map<string, SessionPlace>();
  readonly #watchersOfAll = new Set<OnChannelDeltas>();
  readonly #emptied: Deadlines<ChannelKey>;
  /** The channel that was asked for last, and by which id. */
  #recent: { readonly id: ChannelId; readonly channel: Channel } | undefined;
  readonly #usages: Usages;
  #present = 0;
  #lastUserVersion = 0;
  /** The highest revision of any channel, those that are forgotten among them. */
  #highestRevision = -1;
  #lastPendingRevision = -1;

  constructor(private readonly options: MemoryEngineOptions) {
    this.#usages = new Usages(options.logsGiveWay);
    this.#emptied = new Deadlines(options.clock, (key) => this.#forget(key));
  }

  read(channel: ChannelId, userId: string): MemberRecord {
    const entry = this.#find(channel)?.members.get(userId);
    const user = entry ? entry.user : this.#user(channel, userId);
    const member = entry?.member;
    const here = member ?? stranger(userId);
    return {
      member: here,
      elsewhere: {
        channels: (user?.joinedChannels ?? 0) - Number(here.sessions.length > 0),
        attachedChannels: (user?.attachedChannels ?? 0) - Number(hasAttached(here.sessions)),
        pendingPairs: (user?.pendingPairs ?? 0) - pendingPairs(here),
      },
      version: member,
      userVersion: user?.version ?? 0,
    };
  }

  commit({ channel: id, read, outcome, wall, dependsOnElsewhere }: Commit): Committed | "conflict" {
    const { userId } = read.member;
    const found = this.#find(id);
    const entry = found?.members.get(userId);
    if (entry?.member !== read.version) return "conflict";
    if (dependsOnElsewhere) {
      const user = entry ? entry.user : this.#user(id, userId);
      if ((user?.version ?? 0) !== read.userVersion) return "conflict";
    }

    const channel = found ?? this.#open(id);
    const { member, deltas, head } = seal(read.member, outcome, channel.head, wall, this.#newPendingRevision);
    this.#highestRevision = Math.max(this.#highestRevision, head.revision);
    this.#present += head.occupancy - channel.head.occupancy;
    channel.head = head;
    this.#store(channel, entry, read.member, member);
    if (deltas.length > 0) {
      this.#usages.log(channel.usage, channel.log, deltas);
      for (const onDeltas of channel.watchers) onDeltas(deltas);
      for (const onDeltas of this.#watchersOfAll) onDeltas(channel.id, channel.epoch, deltas);
    }
    const { epoch } = channel;
    return { member, deltas, position: { epoch, revision: head.revision }, occupancy: head.occupancy };
  }

  summary(channel: ChannelId): ChannelSummary {
    const found = this.#find(channel);
    return found ? summaryOf(found) : { position: { epoch: "", revision: 0 }, occupancy: 0 };
  }

  snapshot(channel: ChannelId): ChannelSnapshot {
    return { ...this.summary(channel), users: this.#find(channel)?.roster.map(stateOf) ?? [] };
  }

  page(channel: ChannelId, after: number, limit: number, states: States): MemberPage {
    const members: Member[] = [];
    const slice = this.#examine(channel, after, states, (member) => members.push(member) < limit);
    return { ...slice, members };
  }

  count(channel: ChannelId, after: number, states: States): MemberCount {
    let count = 0;
    const slice = this.#examine(channel, after, states, () => {
      count += 1;
      return true;
    });
    return { ...slice, count };
  }

  watch(id: ChannelId, onDeltas: (deltas: readonly Delta[]) => void): StopWatching {
    const channel = this.#find(id) ?? this.#open(id);
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
    const found = this.#find(channel);
    if (found?.epoch !== from.epoch || from.revision > found.head.revision) return undefined;
    return found.log.after(from.revision, found.head.revision);
  }

  placesOf(app: string, userId: string): readonly UserPlace[] {
    const channels = [...(this.#users.get(userKey(app, userId))?.channels ?? [])];
    channels.sort((a, b) => (a.key < b.key ? -1 : 1));
    return channels.map(({ id, members }) => ({ channel: id, member: members.get(userId)!.member }));
  }

  findSession(sessionId: string): SessionPlace | undefined {
    return this.#sessions.get(sessionId);
  }

  usage(app: string): AppUsage {
    return this.#usages.apps.get(app) ?? NO_USAGE;
  }

  usages(): ReadonlyMap<string, AppUsage> {
    return this.#usages.apps;
  }

  /** Approximate memory of everything that is kept, in bytes. */
  get bytes(): number {
    return this.#usages.bytes;
  }

  stats(): EngineStats {
    const { size: channels } = this.#channels;
    return { channels, present: this.#present, sessions: this.#sessions.size, users: this.#users.size };
  }

  close(): void {
    this.#emptied.clear();
    this.#channels.clear();
    this.#recent = undefined;
    this.#users.clear();
    this.#sessions.clear();
    this.#watchersOfAll.clear();
    this.#usages.clear();
    this.#present = 0;
  }

  /** The channel, if anything is known of it. Asked twice for each commit, with one and the same id. */
  #find(id: ChannelId): Channel | undefined {
    if (this.#recent?.id === id) return this.#recent.channel;
    const channel = this.#channels.get(channelKey(id));
    this.#recent = channel && { id, channel };
    return channel;
  }

  /** Examines a slice of the present users and calls `onMatch` for those that match, until it returns false. */
  #examine(
    channel: ChannelId,
    after: number,
    states: States,
    onMatch: (member: Member) => boolean,
  ): Omit<MemberPage, "members"> {
    const found = this.#find(channel);
    const matches = matcher(states);
    let examined = 0;
    let last = after;
    let goOn = true;
    for (const { member } of found?.roster.after(after) ?? []) {
      if (!goOn || examined === SLICE_USERS) return { ...this.summary(channel), examined, next: last };
      const { state, joinRevision } = member.presence!;
      if (matches(state.states)) goOn = onMatch(member);
      examined += 1;
      last = joinRevision;
    }
    return { ...this.summary(channel), examined, next: undefined };
  }

  /** What the user has in all channels of the same app, if anything. */
  #user(channel: ChannelId, userId: string): User | undefined {
    return this.#users.get(userKey(appOf(channel), userId));
  }

  readonly #newPendingRevision = (): number => {
    this.#lastPendingRevision = this.options.newRevision(this.#lastPendingRevision);
    return PENDING_REVISIONS + this.#lastPendingRevision;
  };

  /** Begins a life of a channel. A channel that was forgotten may have had any of the revisions up to the highest. */
  #open(id: ChannelId): Channel {
    const key = channelKey(id);
    this.#highestRevision = this.options.newRevision(this.#highestRevision);
    const channel: Channel = {
      id,
      key,
      epoch: this.options.newEpoch(),
      head: { revision: this.#highestRevision, occupancy: 0 },
      members: new Map(),
      roster: new Roster(),
      log: new DeltaLog(this.options.log),
      watchers: new Set(),
      usage: this.#usages.open(appOf(id)),
    };
    this.#channels.set(key, channel);
    return channel;
  }

  #store(channel: Channel, entry: Entry | undefined, before: Member, after: Member): void {
    if (before.sessions !== after.sessions) this.#indexSessions(channel, before, after);
    this.#usages.change(channel.usage, before, after);
    this.#indexUser(channel, before, after);

    const was = before.presence?.joinRevision;
    const is = after.presence?.joinRevision;
    if (was !== undefined && was !== is) channel.roster.remove(was);
    if (isForgettable(after)) {
      channel.members.delete(after.userId);
      this.#scheduleForgetting(channel);
      return;
    }
    const kept = entry ?? { member: after, user: this.#user(channel.id, after.userId)! };
    kept.member = after;
    if (!entry) {
      channel.members.set(after.userId, kept);
      this.#scheduleForgetting(channel);
    }
    if (is !== undefined && was !== is) channel.roster.add(kept, is);
  }

  #indexSessions(channel: Channel, before: Member, after: Member): void {
    for (const { id } of before.sessions) {
      if (!after.sessions.some((session) => session.id === id)) this.#sessions.delete(id);
    }
    for (const { id } of after.sessions) {
      if (before.sessions.some((session) => session.id === id)) continue;
      this.#sessions.set(id, { channel: channel.id, userId: after.userId });
    }
  }

  #indexUser(channel: Channel, before: Member, after: Member): void {
    const joined = Number(after.sessions.length > 0) - Number(before.sessions.length > 0);
    const attached = Number(hasAttached(after.sessions)) - Number(hasAttached(before.sessions));
    const pairs = pendingPairs(after) - pendingPairs(before);
    const known = !isForgettable(after);
    if (joined === 0 && attached === 0 && pairs === 0 && known === !isForgettable(before)) return;

    const { userId } = after;
    const key = userKey(appOf(channel.id), userId);
    const user = this.#users.get(key) ?? newUser();
    user.joinedChannels += joined;
    user.attachedChannels += attached;
    user.pendingPairs += pairs;
    user.version = ++this.#lastUserVersion;
    const index = user.channels.indexOf(channel);
    if (known && index < 0) user.channels.push(channel);
    if (!known && index >= 0) user.channels.splice(index, 1);
    if (user.channels.length === 0) this.#users.delete(key);
    else this.#users.set(key, user);
  }

  /** A channel that nobody needs is kept for as long as its history may be resumed, and no longer (S23). */
  #scheduleForgetting(channel: Channel): void {
    const needed = channel.members.size > 0 || channel.watchers.size > 0;
    const { clock, resumeTtlMs } = this.options;
    this.#emptied.set(channel.key, needed ? undefined : clock.now().tick + resumeTtlMs);
  }

  #forget(key: ChannelKey): void {
    const channel = this.#channels.get(key);
    if (channel) this.#usages.close(appOf(channel.id), channel.usage, channel.log);
    this.#channels.delete(key);
    this.#recent = undefined;
  }
}

/** A user with nothing in any channel. */
function newUser(): User {
  return { channels: [], joinedChannels: 0, attachedChannels: 0, pendingPairs: 0, version: 0 };
}

/** The state of a user who is present. */
function stateOf({ member }: Entry): UserState {
  return member.presence!.state;
}

function summaryOf(channel: Channel): ChannelSummary {
  return {
    position: { epoch: channel.epoch, revision: channel.head.revision },
    occupancy: channel.head.occupancy,
  };
}
