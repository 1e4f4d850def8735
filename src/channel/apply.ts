import { PresenceError } from "../model/errors.js";
import { checkWholeState, type Limits } from "../model/limits.js";
import {
  changedKeys,
  holds,
  NO_STATES,
  pairCount,
  type States,
  type UserState,
  unseenState,
} from "../model/user_state.js";
import type { Instant } from "../time/clock.js";
import type { Batch, Command, Detach, Join, RemoveStates, SetStates } from "./command.js";
import { checkChannels, deviceOf, newSession, withRoomForOne } from "./joining.js";
import { isDetached, type Member, newLease, type PendingWrite, type Session, type StreamSession } from "./member.js";
import type { Change, EndedSession, EntryOutcome, Outcome } from "./outcome.js";
import { revisionMismatch, sessionNotFound, tooManyPending, tooManySessions } from "./refusals.js";

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
  /** Those of them where it has an attached stream or a lease. */
  readonly attachedChannels: number;
  /** Pairs that wait for a join. */
  readonly pendingPairs: number;
}

/**
 * The rules of a channel (S1 to S4, S7 to S14, S17), for one user: what `command` at `now` makes of `member`.
 *
 * Pure. What has run out by `now` is settled first, so an event that was due never comes after one that is caused now.
 * Throws a PresenceError when the command is refused; then nothing is changed. Of a batch, `Outcome.entries` tells which
 * entries were refused; if all were, nothing is changed.
 */
export function apply(member: Member, command: Command, now: Instant, rules: Rules, elsewhere: Elsewhere): Outcome {
  const draft = new Draft(member, now, rules, elsewhere);
  draft.settle();
  if (command.kind !== "batch") {
    draft.carryOut(command);
    return draft.outcome();
  }
  const entries: EntryOutcome[] = [];
  const done = carryOutEach(draft, command, entries);
  return (done ?? new Draft(member, now, rules, elsewhere)).outcome(entries);
}

/**
 * The draft with all entries of a batch that are not refused; `undefined` if all are. Adds the outcome of each to
 * `outcomes`.
 */
function carryOutEach(settled: Draft, { entries }: Batch, outcomes: EntryOutcome[]): Draft | undefined {
  let done: Draft | undefined;
  for (const entry of entries) {
    if (done && entry.kind === "set" && entry.expectedRevision !== undefined) {
      outcomes.push({ expectedRevision: entry.expectedRevision });
      continue;
    }
    const next = (done ?? settled).copy();
    try {
      next.carryOut(entry);
      done = next;
      outcomes.push("done");
    } catch (error) {
      if (!(error instanceof PresenceError)) throw error;
      outcomes.push(error);
    }
  }
  return done;
}

/** Most commands change nothing that others hear of; a list of its own is for those that do. */
const NO_CHANGES: readonly Change[] = [];
const NO_ENDED: readonly EndedSession[] = [];
const NO_ENTRIES: readonly EntryOutcome[] = [];

class Draft {
  #sessions: readonly Session[];
  #pending: PendingWrite | undefined;
  /** The whole state while present; `undefined` while not. */
  #states: States | undefined;
  /** What `#states` was before it was written, until the change is announced: the net of all writes. */
  #statesBefore: States | undefined;
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

  /** A draft that goes on from here and leaves this one as it is. */
  copy(): Draft {
    const copy = new Draft(this.before, this.now, this.rules, this.elsewhere);
    copy.#sessions = this.#sessions;
    copy.#pending = this.#pending;
    copy.#states = this.#states;
    copy.#statesBefore = this.#statesBefore;
    copy.#lingersUntil = this.#lingersUntil;
    copy.#changes = this.#changes;
    copy.#ended = this.#ended;
    copy.#joined = this.#joined;
    return copy;
  }

  outcome(entries: readonly EntryOutcome[] = NO_ENTRIES): Outcome {
    const changes = this.#announced();
    return {
      sessions: this.#sessions,
      pending: this.#pending,
      lingersUntil: this.#lingersUntil,
      changes,
      ended: this.#ended,
      joined: this.#joined,
      entries,
      unchanged:
        this.#sessions === this.before.sessions &&
        this.#pending === this.before.pending &&
        this.#lingersUntil === this.before.presence?.lingersUntil &&
        changes.length === 0,
    };
  }

  carryOut(command: Exclude<Command, Batch>): void {
    switch (command.kind) {
      case "join":
        this.#join(command);
        break;
      case "detach":
        this.#detach(command);
        break;
      case "leave":
        this.#leave(command.sessionId, command.attachment);
        break;
      case "renew":
        this.#renew(command.sessionId, command.ttlMs);
        break;
      case "set":
        this.#set(command);
        break;
      case "remove":
        this.#remove(command);
        break;
      case "expire":
        break;
    }
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

  #join(command: Join): void {
    const { limits } = this.rules;
    const old = this.#sessions.find(
      (session): session is StreamSession => session.kind === "stream" && session.id === command.resume,
    );
    if (!old) checkChannels(this.#sessions, this.elsewhere, limits);
    const session = newSession(command, old, this.now.tick);
    this.#joined = { session, resumed: old !== undefined };

    const others: Session[] = [];
    const deviceId = deviceOf(command, old);
    for (const other of this.#sessions) {
      if (other !== old && !this.#makesWay(other, session.quiet, deviceId)) others.push(other);
      else if (!isDetached(other)) this.#end(other, "replaced");
    }
    const kept = withRoomForOne(others, session.quiet, limits.maxSessionsPerUser);
    if (kept.length >= limits.maxSessionsPerUser) throw tooManySessions(limits);
    // Unlike a list that was pushed to, the result has no spare capacity, which would take 130 bytes per member.
    this.#sessions = kept.concat(session);

    const keepsStates = old !== undefined && this.#states !== undefined;
    if (session.quiet) {
      this.#departIfUnseen("leave");
    } else {
      this.#lingersUntil = undefined;
      if (this.#states === undefined) {
        this.#appear(command.initialStates);
        return;
      }
    }
    // The state of a present user may have changed since the client that returns chose its initial states.
    if (!keepsStates) this.#mergeInitial(command.initialStates);
  }

  /** Whether a join, quiet or not, on that device ends another session of the user. No such end is an event. */
  #makesWay(other: Session, quiet: boolean, deviceId: string | undefined): boolean {
    if (other.quiet !== quiet) return false;
    return (this.rules.sameUser === "single" && !quiet) || (isDetached(other) && other.deviceId === deviceId);
  }

  #detach({ sessionId, attachment, since = this.now.tick }: Detach): void {
    const session = this.#sessions.find(({ id }) => id === sessionId);
    if (session?.kind !== "stream" || session.attachment !== attachment || isDetached(session)) return;
    this.#replaceSession(session, { ...session, deadline: since + session.timeoutMs });
    this.settle();
  }

  #leave(sessionId: string | undefined, attachment: number | undefined): void {
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

  #renew(sessionId: string, ttlMs: number | undefined): void {
    const index = this.#sessions.findIndex(({ id }) => id === sessionId);
    const lease = this.#sessions[index];
    if (lease?.kind !== "lease") throw sessionNotFound(sessionId);
    const sessions = this.#sessions.slice();
    sessions[index] = newLease(lease.id, ttlMs ?? lease.ttlMs, this.now.tick);
    this.#sessions = sessions;
  }

  #set(command: SetStates): void {
    const { expectedRevision } = command;
    if (expectedRevision !== undefined && expectedRevision !== this.#currentState().revision) {
      throw revisionMismatch(expectedRevision, this.#currentState());
    }
    const current = this.#current();
    this.#write(command.replace ? { ...command.states } : { ...current, ...command.states });
  }

  #remove(command: RemoveStates): void {
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

  /** What a compare-and-set is compared with: no command before it in this draft has written. */
  #currentState(): UserState {
    const { userId, presence, pending } = this.before;
    const seen = this.#states === undefined ? undefined : presence?.state;
    return seen ?? unseenState(userId, this.#pending && pending);
  }

  #write(next: States): void {
    checkWholeState(next, this.rules.limits);
    if (this.#states === undefined) {
      this.#writePending(next);
    } else {
      this.#replaceStates(next);
    }
  }

  #writePending(next: States): void {
    const pairs = pairCount(next);
    const { limits } = this.rules;
    const total = this.elsewhere.pendingPairs + pairs;
    if (total > limits.maxPendingPairs && pairs > pairCount(this.#pending?.states ?? NO_STATES)) {
      throw tooManyPending(total, limits);
    }
    this.#pending = pairs === 0 ? undefined : { states: next, deadline: this.now.tick + this.rules.pendingTtlMs };
  }

  #appear(initialStates: States): void {
    const states = { ...this.#pending?.states, ...initialStates };
    checkWholeState(states, this.rules.limits);
    this.#pending = undefined;
    this.#change({ kind: "join" });
    this.#states = NO_STATES;
    if (pairCount(states) > 0) this.#replaceStates(states);
  }

  /** A join with the states that the user has already is silent, unlike a SetState with them (S11). */
  #mergeInitial(initialStates: States): void {
    const current = this.#current();
    if (holds(current, initialStates)) return;
    this.#write({ ...current, ...initialStates });
  }

  #replaceStates(next: States): void {
    this.#statesBefore ??= this.#states;
    this.#states = next;
  }

  /** All changes; what was written since the last of them is one change. */
  #announced(): readonly Change[] {
    if (this.#statesBefore === undefined) return this.#changes;
    const states = this.#states!;
    return [...this.#changes, { kind: "state", states, ...changedKeys(this.#statesBefore, states) }];
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

  #end(session: Session, why: EndedSession["why"]): void {
    const attachment = session.kind === "stream" ? session.attachment : undefined;
    this.#ended = [...this.#ended, { sessionId: session.id, attachment, why }];
  }

  #change(change: Change): void {
    this.#changes = [...this.#announced(), change];
    this.#statesBefore = undefined;
  }

  #replaceSession(old: Session, next: Session): void {
    this.#sessions = this.#sessions.map((session) => (session === old ? next : session));
  }
}
