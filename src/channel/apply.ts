import { PresenceError } from "../model/errors.js";
import { checkWholeState, type Limits } from "../model/limits.js";
import { holds, NO_STATES, pairCount, type States, type UserState, unseenState } from "../model/user_state.js";
import type { Instant } from "../time/clock.js";
import type { Command, Detach, Join, RemoveStates, SetStates } from "./command.js";
import { isDetached, type LeaseSession, type Member, type Pending, type Session } from "./member.js";

/** What the rules of a channel depend on. */
export interface Rules {
  readonly limits: Limits;
  /** `multi`: the sessions of a user share its presence. `single`: a new one ends the older ones (S8). */
  readonly sameUser: "multi" | "single";
  /** How long a state waits for its join, in ms (S12: 300000). */
  readonly pendingTtlMs: number;
  /**
   * How long a user who leaves stays present, in ms, 0 to 30000: one who joins again meanwhile causes no event. 0, the
   * default: it is gone at once (S2).
   */
  readonly leaveDebounceMs: number;
}

/** What a user has in all channels but the one at hand. */
export interface Elsewhere {
  /** Channels where it has a session. */
  readonly channels: number;
  /** Pairs that wait for a join. */
  readonly pendingPairs: number;
}

/** A change that others hear of, before the channel's log has given it a revision. */
export type Change =
  | { readonly kind: "join" | "leave" | "timeout" }
  | {
      readonly kind: "state";
      readonly states: States;
      readonly changedKeys: readonly string[];
      readonly removedKeys: readonly string[];
    };

/** A session, or one attachment of it, that is over and whose stream is to be closed. */
export interface EndedSession {
  readonly sessionId: string;
  /** The attachment that is over; a later one of the same session goes on. `undefined`: a lease. */
  readonly attachment: number | undefined;
  readonly why: "left" | "replaced";
}

/** What a command makes of a member. */
export interface Outcome {
  readonly sessions: readonly Session[];
  readonly pending: Pending | undefined;
  /** `Presence.lingersUntil` of a user who is present after the changes. */
  readonly lingersUntil: number | undefined;
  /** In order; each takes one revision. */
  readonly changes: readonly Change[];
  readonly ended: readonly EndedSession[];
  /** The session that a join made or took up. */
  readonly joined: { readonly session: Session; readonly resumed: boolean } | undefined;
  /** Nothing is different from before, so nothing need be stored. */
  readonly unchanged: boolean;
}

/**
 * The rules of a channel (S1 to S4, S7 to S14, S17), for one user: what `command` at `now` makes of `member`.
 *
 * Pure. What has run out by `now` is settled first, so an event that was due never comes after one that is caused now.
 * Throws a PresenceError when the command is refused; then nothing is changed.
 */
export function apply(member: Member, command: Command, now: Instant, rules: Rules, elsewhere: Elsewhere): Outcome {
  const draft = new Draft(member, now, rules, elsewhere);
  draft.settle();
  switch (command.kind) {
    case "join":
      draft.join(command);
      break;
    case "detach":
      draft.detach(command);
      break;
    case "leave":
      draft.leave(command.sessionId, command.attachment);
      break;
    case "renew":
      draft.renew(command.sessionId, command.ttlMs);
      break;
    case "set":
      draft.set(command);
      break;
    case "remove":
      draft.remove(command);
      break;
    case "expire":
      break;
  }
  return draft.outcome();
}

/** Most commands change nothing that others hear of; a list of its own is for those that do. */
const NO_CHANGES: readonly Change[] = [];
const NO_ENDED: readonly EndedSession[] = [];

class Draft {
  #sessions: readonly Session[];
  #pending: Pending | undefined;
  /** The whole state while present; `undefined` while not. */
  #states: States | undefined;
  #lingersUntil: number | undefined;
  #changes: readonly Change[] = NO_CHANGES;
  #ended: readonly EndedSession[] = NO_ENDED;
  #joined: Outcome["joined"];

  constructor(
    private readonly before: Member,
    private readonly now: Instant,
    private readonly rules: Rules,
    private readonly elsewhere: Elsewhere,
  ) {
    this.#sessions = before.sessions;
    this.#pending = before.pending;
    this.#states = before.presence?.state.states;
    this.#lingersUntil = before.presence?.lingersUntil;
  }

  outcome(): Outcome {
    return {
      sessions: this.#sessions,
      pending: this.#pending,
      lingersUntil: this.#lingersUntil,
      changes: this.#changes,
      ended: this.#ended,
      joined: this.#joined,
      unchanged:
        this.#sessions === this.before.sessions &&
        this.#pending === this.before.pending &&
        this.#lingersUntil === this.before.presence?.lingersUntil &&
        this.#changes.length === 0,
    };
  }

  /** Drops what has run out. */
  settle(): void {
    const { tick } = this.now;
    if (this.#pending && this.#pending.deadline <= tick) this.#pending = undefined;
    if (this.#sessions.some((session) => session.deadline !== undefined && session.deadline <= tick)) {
      this.#sessions = this.#sessions.filter((session) => session.deadline === undefined || session.deadline > tick);
      this.#departIfUnseen("timeout");
    }
    if (this.#lingersUntil !== undefined && this.#lingersUntil <= tick) this.#depart("leave");
  }

  join(command: Join): void {
    if (this.#sessions.length === 0) {
      const channels = this.elsewhere.channels + 1;
      const limit = this.rules.limits.maxChannelsPerUser;
      if (channels > limit) {
        throw new PresenceError("TOO_MANY_CHANNELS", `the user takes part in ${limit} channels already; leave one`, {
          metadata: { limit: String(limit) },
        });
      }
    }
    const old = this.#sessions.find((session) => session.kind === "stream" && session.id === command.resume);
    const session = this.#newSession(command, old);
    this.#joined = { session, resumed: old !== undefined };

    const kept: Session[] = [];
    for (const other of this.#sessions) {
      if (other === old) {
        if (!isDetached(other)) this.#end(other, "replaced");
      } else if (other.quiet !== session.quiet) {
        kept.push(other);
      } else if (isDetached(other)) {
        // The user is back, if not by this session's id: nobody is to hear of the time in between (S4).
      } else if (this.rules.sameUser === "single" && !session.quiet) {
        this.#end(other, "replaced");
      } else {
        kept.push(other);
      }
    }
    kept.push(session);
    const { maxSessionsPerUser } = this.rules.limits;
    if (kept.length > maxSessionsPerUser) {
      const message = `the user has ${maxSessionsPerUser} sessions in the channel already; leave one`;
      throw new PresenceError("TOO_MANY_SESSIONS", message, { metadata: { limit: String(maxSessionsPerUser) } });
    }
    this.#sessions = kept;

    if (session.quiet) {
      this.#departIfUnseen("leave");
    } else {
      this.#lingersUntil = undefined;
      if (this.#states === undefined) {
        this.#appear(command.initialStates);
        return;
      }
    }
    this.#mergeInitial(command.initialStates);
  }

  detach({ sessionId, attachment, since = this.now.tick }: Detach): void {
    const session = this.#sessions.find(({ id }) => id === sessionId);
    if (session?.kind !== "stream" || session.attachment !== attachment || isDetached(session)) return;
    this.#replaceSession(session, { ...session, deadline: since + session.timeoutMs });
    this.settle();
  }

  leave(sessionId: string | undefined, attachment: number | undefined): void {
    const leaving = this.#sessions.filter(
      (session) =>
        (sessionId === undefined || session.id === sessionId) &&
        (attachment === undefined || (session.kind === "stream" && session.attachment === attachment)),
    );
    if (leaving.length === 0) {
      if (attachment !== undefined) return;
      throw sessionNotFound(sessionId);
    }
    for (const session of leaving) this.#end(session, "left");
    this.#sessions = this.#sessions.filter((session) => !leaving.includes(session));
    this.#departIfUnseen("leave");
  }

  renew(sessionId: string, ttlMs: number | undefined): void {
    const index = this.#sessions.findIndex(({ id }) => id === sessionId);
    const lease = this.#sessions[index];
    if (lease?.kind !== "lease") throw sessionNotFound(sessionId);
    const sessions = this.#sessions.slice();
    sessions[index] = newLease(lease.id, ttlMs ?? lease.ttlMs, this.now.tick);
    this.#sessions = sessions;
  }

  set(command: SetStates): void {
    const { expectedRevision } = command;
    const actual = this.#currentState().revision;
    if (expectedRevision !== undefined && expectedRevision !== actual) {
      throw new PresenceError(
        "STATE_REVISION_MISMATCH",
        `the state is at revision ${actual}, not ${expectedRevision}`,
        {
          metadata: { expected: String(expectedRevision), actual: String(actual) },
          currentState: this.#currentState(),
        },
      );
    }
    const current = this.#current();
    this.#write(command.replace ? { ...command.states } : { ...current, ...command.states });
  }

  remove(command: RemoveStates): void {
    if (command.keys.length === 0) {
      this.#write(NO_STATES);
      return;
    }
    const left: Record<string, string> = { ...this.#current() };
    for (const key of command.keys) delete left[key];
    this.#write(left);
  }

  #current(): States {
    return this.#states ?? this.#pending?.states ?? NO_STATES;
  }

  /** The state that a compare-and-set is compared with, before this very command writes. */
  #currentState(): UserState {
    const seen = this.#states === undefined ? undefined : this.before.presence?.state;
    return seen ?? unseenState(this.before.userId, this.#current());
  }

  #write(next: States): void {
    checkWholeState(next, this.rules.limits);
    if (this.#states === undefined) {
      this.#writePending(next);
    } else {
      this.#announceState(this.#states, next);
    }
  }

  #writePending(next: States): void {
    const pairs = pairCount(next);
    const limit = this.rules.limits.maxPendingPairs;
    const total = this.elsewhere.pendingPairs + pairs;
    if (total > limit && pairs > pairCount(this.#pending?.states ?? NO_STATES)) {
      throw new PresenceError(
        "CACHED_TOO_MANY_STATES",
        `the user would have ${total} pairs waiting in channels that it has not joined; ${limit} are allowed`,
        { metadata: { limit: String(limit), actual: String(total) } },
      );
    }
    this.#pending = pairs === 0 ? undefined : { states: next, deadline: this.now.tick + this.rules.pendingTtlMs };
  }

  #appear(initialStates: States): void {
    const states = { ...this.#pending?.states, ...initialStates };
    checkWholeState(states, this.rules.limits);
    this.#pending = undefined;
    this.#change({ kind: "join" });
    this.#states = NO_STATES;
    if (pairCount(states) > 0) this.#announceState(NO_STATES, states);
  }

  /** A return with the states that the user has already is silent (S4), unlike a SetState with them (S11). */
  #mergeInitial(initialStates: States): void {
    const current = this.#current();
    if (holds(current, initialStates)) return;
    this.#write({ ...current, ...initialStates });
  }

  #announceState(previous: States, next: States): void {
    const changedKeys = Object.keys(next).filter((key) => !Object.hasOwn(previous, key) || previous[key] !== next[key]);
    const removedKeys = Object.keys(previous).filter((key) => !Object.hasOwn(next, key));
    this.#change({
      kind: "state",
      states: next,
      changedKeys: changedKeys.sort(),
      removedKeys: removedKeys.sort(),
    });
    this.#states = next;
  }

  /** A user who lingers is unseen already: what becomes of its quiet sessions makes no difference. */
  #departIfUnseen(kind: "leave" | "timeout"): void {
    if (this.#states === undefined || this.#lingersUntil !== undefined) return;
    if (this.#sessions.some((session) => !session.quiet)) return;
    const { leaveDebounceMs } = this.rules;
    if (kind === "leave" && leaveDebounceMs > 0) this.#lingersUntil = this.now.tick + leaveDebounceMs;
    else this.#depart(kind);
  }

  #depart(kind: "leave" | "timeout"): void {
    this.#change({ kind });
    this.#states = undefined;
    this.#lingersUntil = undefined;
  }

  #newSession(command: Join, old: Session | undefined): Session {
    const { session } = command;
    if (session.kind === "lease") {
      return newLease(command.sessionId, session.ttlMs, this.now.tick);
    }
    return {
      kind: "stream",
      id: old?.id ?? command.sessionId,
      quiet: session.quiet,
      timeoutMs: session.timeoutMs,
      attachment: old?.kind === "stream" ? old.attachment + 1 : 0,
      deadline: undefined,
    };
  }

  #end(session: Session, why: EndedSession["why"]): void {
    const attachment = session.kind === "stream" ? session.attachment : undefined;
    this.#ended = [...this.#ended, { sessionId: session.id, attachment, why }];
  }

  #change(change: Change): void {
    this.#changes = [...this.#changes, change];
  }

  #replaceSession(old: Session, next: Session): void {
    this.#sessions = this.#sessions.map((session) => (session === old ? next : session));
  }
}

function newLease(id: string, ttlMs: number, tick: number): LeaseSession {
  return { kind: "lease", id, quiet: false, ttlMs, deadline: tick + ttlMs };
}

function sessionNotFound(sessionId: string | undefined): PresenceError {
  return sessionId === undefined
    ? new PresenceError("SESSION_NOT_FOUND", "the user has no session in this channel")
    : new PresenceError("SESSION_NOT_FOUND", `no session ${sessionId} of this user is alive in this channel`, {
        metadata: { session_id: sessionId },
      });
}
