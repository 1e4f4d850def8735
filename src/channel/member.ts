import { NO_STATES, pairCount, type States, type UserState, unseenState } from "../model/user_state.js";

/** A session that is, or was, a stream. */
export interface StreamSession {
  readonly kind: "stream";
  readonly id: string;
  /** Hears everything, is seen by nobody (S7). */
  readonly quiet: boolean;
  /** How long it stays present after being lost, in ms, 0 to 300000 (S5). */
  readonly timeoutMs: number;
  /**
   * Counts the streams that this session has had. What an older stream reports of its end no longer concerns the
   * session.
   */
  readonly attachment: number;
  /** `undefined` while attached; otherwise the tick at which it is given up (S3). */
  readonly deadline: number | undefined;
  /**
   * The user's device, not empty. Absent, not `undefined`, for the device without a label: there may be very many
   * sessions.
   */
  readonly deviceId?: string;
}

/**
 * A session without a stream, alive as long as it is renewed (S17). It has no device: it is never detached, so no join
 * ends it because of its device.
 */
export interface LeaseSession {
  readonly kind: "lease";
  readonly id: string;
  readonly quiet: false;
  /** Time to live after a renewal, in ms. */
  readonly ttlMs: number;
  /** The tick at which it runs out. */
  readonly deadline: number;
}

/** A lease that was made, or renewed, at `tick`. */
export function newLease(id: string, ttlMs: number, tick: number): LeaseSession {
  return { kind: "lease", id, quiet: false, ttlMs, deadline: tick + ttlMs };
}

/** A session whose stream was lost. */
export type DetachedSession = StreamSession & { readonly deadline: number };

/** One participation of a user in a channel. */
export type Session = StreamSession | LeaseSession;

/** A write of a state that waits for its user to join (S12), before its commit. */
export interface PendingWrite {
  readonly states: States;
  /** The tick at which it is forgotten. */
  readonly deadline: number;
}

/** A pending state that is stored. */
export interface Pending extends PendingWrite {
  /** 2^52 or more, unlike those of channels; another one with every write, given by the commit. */
  readonly revision: number;
}

/** What makes a user seen: kept from its first session that is not quiet to its last. */
export interface Presence {
  readonly state: UserState;
  /** The channel's revision at the join: the order in which members are listed. */
  readonly joinRevision: number;
  /**
   * The user has left, and is kept from the others' hearing of it until this tick in case it comes back. Then it has no
   * session that is not quiet. Absent, not `undefined`, while it does not linger: there may be very many members.
   */
  readonly lingersUntil?: number;
}

/** All that a channel knows of one user. A change makes a new one. */
export interface Member {
  readonly userId: string;
  readonly sessions: readonly Session[];
  readonly presence: Presence | undefined;
  readonly pending: Pending | undefined;
}

/** A user of whom the channel knows nothing. */
export function stranger(userId: string): Member {
  return { userId, sessions: [], presence: undefined, pending: undefined };
}

/** Whether anything is known of the member; if not, it need not be kept (S23). */
export function isForgettable(member: Member): boolean {
  return member.sessions.length === 0 && member.pending === undefined && member.presence === undefined;
}

/** Whether the session's stream is gone and it waits for its user to return (S3). */
export function isDetached(session: Session): session is DetachedSession {
  return session.kind === "stream" && session.deadline !== undefined;
}

/** Whether one of the sessions has a stream or is a lease. */
export function hasAttached(sessions: readonly Session[]): boolean {
  return sessions.some((session) => !isDetached(session));
}

/** Whether none of the member's sessions that others see is attached or a lease: all are detached, or it has left. */
export function isAway({ sessions }: Member): boolean {
  return !sessions.some((session) => !session.quiet && !isDetached(session));
}

/** The pending states of a member; empty when there are none. */
export function pendingStates(member: Member): States {
  return member.pending?.states ?? NO_STATES;
}

/** The state of a user who is present, or what waits for its join. */
export function stateOf(member: Member): UserState {
  return member.presence?.state ?? unseenState(member.userId, member.pending);
}

/** How many pairs of the member wait for a join. */
export function pendingPairs(member: Member | undefined): number {
  return member?.pending ? pairCount(member.pending.states) : 0;
}

/** The earliest tick at which something about the member runs out, if anything does. */
export function nextDeadline(member: Member): number | undefined {
  let earliest = earlier(member.pending?.deadline, member.presence?.lingersUntil);
  for (const { deadline } of member.sessions) earliest = earlier(earliest, deadline);
  return earliest;
}

function earlier(a: number | undefined, b: number | undefined): number | undefined {
  return a === undefined || (b !== undefined && b < a) ? b : a;
}
