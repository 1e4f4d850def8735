import type { Elsewhere, Rules } from "../../../src/channel/apply.js";
import type { Batch, Command, Join } from "../../../src/channel/command.js";
import type { States } from "../../../src/model/user_state.js";

/** A session, as the rules' text speaks of it. */
interface Session {
  id: string;
  quiet: boolean;
  lease: boolean;
  deviceId: string;
  /** Which of its streams is the latest. */
  streams: number;
  /** How long it is kept once lost, or between heartbeats. */
  patience: number;
  /** When it ends if nothing happens; `Infinity` while its stream is open. */
  until: number;
  /** When its stream was lost; `Infinity` while it is open, and for a lease. */
  lostAt: number;
}

/** One user in the channel, told in the simplest way. */
interface User {
  sessions: Session[];
  /** The state that others see; `undefined`: not present. */
  seen: Record<string, string> | undefined;
  /** The revision of the last change of `seen`. */
  changedAt: number;
  /** `revision` is `undefined` until the command or batch that wrote it is over. */
  waiting: { states: Record<string, string>; until: number; revision: number | undefined } | undefined;
  /** It has left, and the others hear of it then; `Infinity`: it has not. */
  goesAt: number;
}

/** What the others hear of one change. */
export type Heard = "join" | "leave" | "timeout" | Record<string, string>;

/** What the rules say of a command: what the others hear and, of a batch, which entries are refused; or why it is refused. */
export type Verdict =
  | { readonly heard: readonly Heard[]; readonly entries: readonly string[] }
  | { readonly refused: string };

/** The revision at which the channel begins, as large as a server's. */
export const FIRST_REVISION = 13_900_000_000_000;

/** The revision before that of the first pending state. */
export const FIRST_PENDING_REVISION = 2 ** 52 + 13_900_000_000_000;

/** The rules of one channel again (S1 to S4, S7 to S14, S17, and the debounce of leaves), written to be short and obvious, to hold `apply` against. */
export class ChannelModel {
  revision = FIRST_REVISION;
  #pendingRevision = FIRST_PENDING_REVISION;
  /** What the user of the command at hand has in other channels. */
  #elsewhere: Elsewhere = { channels: 0, attachedChannels: 0, pendingPairs: 0 };
  readonly #users = new Map<string, User>();

  constructor(private readonly rules: Rules) {}

  user(userId: string): User {
    return (
      this.#users.get(userId) ?? { sessions: [], seen: undefined, changedAt: 0, waiting: undefined, goesAt: Infinity }
    );
  }

  /** Who is present. */
  get present(): string[] {
    return [...this.#users].filter(([, { seen }]) => seen !== undefined).map(([userId]) => userId);
  }

  /** Carries out one command at a moment. A refusal changes nothing. */
  step(userId: string, command: Command, now: number, elsewhere: Elsewhere): Verdict {
    this.#elsewhere = elsewhere;
    if (command.kind === "batch") return this.#stepBatch(userId, command, now);
    const user = structuredClone(this.user(userId));
    const heard: Heard[] = [];
    try {
      this.#settle(user, heard, now);
      this.#carryOut(user, heard, command, now);
    } catch (refused) {
      return { refused: String(refused) };
    }
    this.#keep(userId, user, heard);
    return { heard, entries: [] };
  }

  /** One entry after the other; of states that follow each other the others hear the last. */
  #stepBatch(userId: string, { entries }: Batch, now: number): Verdict {
    let user = structuredClone(this.user(userId));
    let heard: Heard[] = [];
    this.#settle(user, heard, now);
    const verdicts: string[] = [];
    for (const entry of entries) {
      const [tried, told] = structuredClone([user, heard] as const);
      try {
        const behind = verdicts.includes("done");
        if (behind && entry.kind === "set" && entry.expectedRevision !== undefined) throw "overtaken";
        this.#carryOut(tried, told, entry, now);
      } catch (refused) {
        verdicts.push(String(refused));
        continue;
      }
      [user, heard] = [tried, told];
      verdicts.push("done");
    }
    if (!verdicts.includes("done")) return { heard: [], entries: verdicts };
    heard = heard.filter((event, i) => typeof event !== "object" || typeof heard[i + 1] !== "object");
    this.#keep(userId, user, heard);
    return { heard, entries: verdicts };
  }

  #keep(userId: string, user: User, heard: readonly Heard[]): void {
    for (const event of heard) {
      this.revision += 1;
      if (typeof event === "object") user.changedAt = this.revision;
      if (event === "join") user.changedAt = 0;
    }
    if (user.waiting) user.waiting.revision ??= ++this.#pendingRevision;
    this.#users.set(userId, user);
  }

  #settle(user: User, heard: Heard[], now: number): void {
    user.sessions = user.sessions.filter(({ until }) => until > now);
    this.#goIfUnseen(user, heard, "timeout");
    if (user.goesAt <= now) this.#go(user, heard, "leave");
    if (user.waiting && user.waiting.until <= now) user.waiting = undefined;
  }

  #carryOut(user: User, heard: Heard[], command: Exclude<Command, Batch>, now: number): void {
    const named = "sessionId" in command ? user.sessions.find(({ id }) => id === command.sessionId) : undefined;
    switch (command.kind) {
      case "join":
        this.#join(user, heard, command, now);
        break;
      case "detach":
        if (!named || named.lease || named.streams !== command.attachment || named.until < Infinity) return;
        named.lostAt = command.since ?? now;
        named.until = named.lostAt + named.patience;
        if (named.until <= now) user.sessions = user.sessions.filter((session) => session !== named);
        this.#goIfUnseen(user, heard, "timeout");
        break;
      case "leave": {
        const stale = command.attachment !== undefined;
        const stays = (session: Session): boolean =>
          (command.sessionId !== undefined && session !== named) ||
          (stale && (session.lease || session.streams !== command.attachment));
        if (user.sessions.every(stays) && !stale) throw "SESSION_NOT_FOUND";
        user.sessions = user.sessions.filter(stays);
        this.#leaveIfUnseen(user, heard, now);
        break;
      }
      case "renew":
        if (!named?.lease) throw "SESSION_NOT_FOUND";
        named.patience = command.ttlMs ?? named.patience;
        named.until = now + named.patience;
        return;
      case "set": {
        const revision = user.seen ? user.changedAt : (user.waiting?.revision ?? 0);
        if (command.expectedRevision !== undefined && command.expectedRevision !== revision) {
          throw "STATE_REVISION_MISMATCH";
        }
        const base = command.replace ? {} : (user.seen ?? user.waiting?.states);
        this.#write(user, heard, { ...base, ...command.states }, now);
        break;
      }
      case "remove": {
        const kept = Object.entries(user.seen ?? user.waiting?.states ?? {}).filter(
          ([key]) => command.keys.length > 0 && !command.keys.includes(key),
        );
        this.#write(user, heard, Object.fromEntries(kept), now);
        break;
      }
    }
  }

  #join(user: User, heard: Heard[], join: Join, now: number): void {
    const { sessionId, session, resume, initialStates } = join;
    const quiet = session.kind === "stream" && session.quiet;
    const lease = session.kind === "lease";
    const old = lease ? undefined : user.sessions.find(({ id, lease }) => id === resume && !lease);
    const { channels, attachedChannels } = this.#elsewhere;
    const { maxChannelsPerUser: maxChannels, maxSessionsPerUser: maxSessions } = this.rules.limits;
    const tooMany = attachedChannels >= maxChannels && user.sessions.every((other) => other.lostAt < Infinity);
    const tooManyInAll = channels >= 2 * maxChannels && user.sessions.length === 0;
    if (!old && (tooMany || tooManyInAll)) throw "TOO_MANY_CHANNELS";
    const deviceId = old?.deviceId ?? join.deviceId;
    const returned = old !== undefined && user.seen !== undefined;
    const stays = (other: Session): boolean => {
      if (other === old) return false;
      if (other.quiet !== quiet) return true;
      if (!quiet && this.rules.sameUser === "single") return false;
      return other.lostAt === Infinity || other.deviceId !== deviceId;
    };
    const patience = session.kind === "lease" ? session.ttlMs : session.timeoutMs;
    const until = lease ? now + patience : Infinity;
    const [id, streams] = old ? [old.id, old.streams + 1] : [sessionId, 0];
    const joined = { id, quiet, lease, deviceId, streams, patience, until, lostAt: Infinity };
    user.sessions = [...user.sessions.filter(stays), joined];
    while (user.sessions.length > maxSessions) {
      const lost = user.sessions.filter((other) => other.lostAt < Infinity && (other.quiet || !quiet));
      const longest = lost.sort((a, b) => a.lostAt - b.lostAt)[0];
      if (!longest) throw "TOO_MANY_SESSIONS";
      user.sessions = user.sessions.filter((other) => other !== longest);
    }
    this.#leaveIfUnseen(user, heard, now);
    if (!quiet) user.goesAt = Infinity;
    if (!quiet && !user.seen) {
      const states = { ...user.waiting?.states, ...initialStates };
      user.waiting = undefined;
      user.seen = {};
      heard.push("join");
      if (Object.keys(states).length > 0) this.#write(user, heard, states, now);
    } else if (!returned) {
      const current: States = user.seen ?? user.waiting?.states ?? {};
      const news = Object.entries(initialStates).some(([key, value]) => current[key] !== value);
      if (news) this.#write(user, heard, { ...current, ...initialStates }, now);
    }
  }

  #goIfUnseen(user: User, heard: Heard[], how: "leave" | "timeout"): void {
    if (!user.seen || user.goesAt < Infinity || user.sessions.some(({ quiet }) => !quiet)) return;
    this.#go(user, heard, how);
  }

  #leaveIfUnseen(user: User, heard: Heard[], now: number): void {
    if (this.rules.leaveDebounceMs === 0) this.#goIfUnseen(user, heard, "leave");
    else if (user.seen && user.goesAt === Infinity && user.sessions.every(({ quiet }) => quiet))
      user.goesAt = now + this.rules.leaveDebounceMs;
  }

  #go(user: User, heard: Heard[], how: "leave" | "timeout"): void {
    user.seen = undefined;
    user.goesAt = Infinity;
    heard.push(how);
  }

  #write(user: User, heard: Heard[], states: Record<string, string>, now: number): void {
    const { limits, pendingTtlMs } = this.rules;
    const pairs = Object.keys(states).length;
    if (pairs > limits.maxStatePairs) throw "STATE_COUNT_OVERFLOW";
    if (user.seen) {
      user.seen = states;
      heard.push(states);
      return;
    }
    const waited = Object.keys(user.waiting?.states ?? {}).length;
    if (pairs > limits.maxPendingPairs && pairs > waited) throw "CACHED_TOO_MANY_STATES";
    user.waiting = pairs === 0 ? undefined : { states, until: now + pendingTtlMs, revision: undefined };
  }
}
