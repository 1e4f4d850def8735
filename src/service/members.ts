import { apply, type Rules } from "../channel/apply.js";
import type { Command } from "../channel/command.js";
import { hasAttached, type Member, nextDeadline } from "../channel/member.js";
import type { EndedSession, Outcome } from "../channel/outcome.js";
import type { Committed, Engine, MaybePromise, MemberRecord, SessionPlace } from "../engine/engine.js";
import { type ChannelId, channelKey, parseChannelKey } from "../model/channel_id.js";
import { PresenceError } from "../model/errors.js";
import type { Position } from "../model/position.js";
import type { Clock } from "../time/clock.js";
import { Deadlines } from "../time/deadlines.js";
import type { Admission } from "./admission.js";
import { andThen } from "./at_once.js";
import { type KeptLease, Renewals } from "./renewals.js";

/** How often a commit that meets other writers is tried before the engine counts as out of service. */
const MAX_TRIES = 32;

/** What became of a command. */
export interface Result {
  readonly member: Member;
  readonly outcome: Outcome;
  readonly position: Position;
  readonly occupancy: number;
}

/** A command on its way. */
interface Task {
  readonly key: string;
  readonly channel: ChannelId;
  readonly userId: string;
  readonly command: Command;
  readonly onCommitted: (result: Result) => void;
}

/** What the members need. */
export interface MembersOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  /** The rules of a channel. */
  readonly rulesOf: (channel: ChannelId) => Rules;
  /** Throws, or rejects, where an outcome must not be committed because it would add too much. */
  readonly admission: Admission;
  /** A session is over by what another call did: its stream, if it is here, is to be closed. */
  readonly onEnded: (ended: EndedSession) => void;
  /** Carrying out a deadline failed; it is tried again. */
  readonly onError: (error: unknown) => void;
}

/** How long to wait before a deadline is tried again that could not be carried out, in ms. */
const RETRY_DEADLINE_MS = 1000;

/**
 * Carries commands out: reads, applies the rules, commits, and again if somebody else was faster. Keeps the deadlines
 * of all that runs out.
 */
export class Members {
  readonly #deadlines: Deadlines<string>;
  /** Members for whom a command is being carried out in this very call, the outermost first. Rarely more than one. */
  readonly #inHand: string[] = [];
  /** Members for whom an answer of the engine is waited for, and who waits for the end of that command. */
  readonly #turns = new Map<string, (() => void)[]>();
  readonly #renewals = new Renewals();

  constructor(private readonly options: MembersOptions) {
    this.#deadlines = new Deadlines(options.clock, (key) => this.#expire(key));
  }

  /** As `start`, for whoever waits anyhow. */
  async run(
    channel: ChannelId,
    userId: string,
    command: Command,
    onCommitted: (result: Result) => void = ignore,
  ): Promise<Result> {
    return await this.start(channel, userId, command, onCommitted);
  }

  /**
   * Carries out one command: at once, without a promise, where the engine answers at once and nobody is before it. Throws
   * a PresenceError (or rejects with it), with nothing changed, if the rules refuse it. `onCommitted` is called at once,
   * before anybody can build on the commit.
   *
   * One at a time for a member, in the order of the calls: where an engine's answers overtake each other, so would what
   * is made of them here.
   */
  start(
    channel: ChannelId,
    userId: string,
    command: Command,
    onCommitted: (result: Result) => void = ignore,
  ): MaybePromise<Result> {
    return this.#start({ key: memberKey(channel, userId), channel, userId, command, onCommitted });
  }

  /** The lease of this session, if it can be put off without a command. */
  keptLease(sessionId: string): KeptLease | undefined {
    return this.#renewals.find(sessionId);
  }

  /**
   * Renews a lease by a command, for the time to live that is given or that it had (S17). Throws SESSION_NOT_FOUND, or
   * rejects with it, when there is no such lease. Where the engine is in this process, the lease is kept from now on.
   */
  renew(place: SessionPlace, sessionId: string, ttlMs: number | undefined): MaybePromise<void> {
    const renewing = this.start(place.channel, place.userId, { kind: "renew", sessionId, ttlMs });
    if (renewing instanceof Promise) return renewing.then(ignore);
    const lease = renewing.member.sessions.find(({ id }) => id === sessionId);
    if (lease?.kind === "lease") this.#renewals.keep(place, lease);
  }

  /** Stops waiting for deadlines. */
  close(): void {
    this.#deadlines.clear();
  }

  #start(task: Task): MaybePromise<Result> {
    const { key } = task;
    // Asked for in the midst of the same member's command, which is over before a promise gets its turn.
    if (this.#inHand.includes(key)) return Promise.resolve().then(() => this.#start(task));
    const before = this.#turns.size > 0 ? this.#turns.get(key) : undefined;
    if (before) return nextTurn(before).then(() => this.#start(task));
    this.#inHand.push(key);
    try {
      const result = this.#try(task, MAX_TRIES);
      return result instanceof Promise ? this.#keepTurn(key, result) : result;
    } finally {
      this.#inHand.pop();
    }
  }

  /** Reads, and goes on at once if the engine answers at once: each wait is a promise more, and a closure. */
  #try(task: Task, triesLeft: number): MaybePromise<Result> {
    if (triesLeft === 0) {
      throw new PresenceError("PRESENCE_OUT_OF_SERVICE", "too many others write the same state", { retryAfterMs: 100 });
    }
    const reading = this.options.engine.read(task.channel, task.userId);
    if (reading instanceof Promise) return reading.then((read) => this.#apply(task, triesLeft, read));
    return this.#apply(task, triesLeft, reading);
  }

  #apply(task: Task, triesLeft: number, stored: MemberRecord): MaybePromise<Result> {
    const { engine, clock, rulesOf, admission } = this.options;
    const { channel, command } = task;
    const member = this.#renewals.applyTo(stored.member);
    const read = member === stored.member ? stored : { ...stored, member };
    const now = clock.now();
    const outcome = apply(member, command, now, rulesOf(channel), read.elsewhere);
    if (outcome.unchanged) {
      this.#watchDeadline(task, member, member);
      return andThen(engine.summary(channel), ({ position, occupancy }) => ({ member, outcome, position, occupancy }));
    }
    const admitting = admission.check(channel, member, outcome);
    if (admitting instanceof Promise) {
      return admitting.then(() => this.#commit(task, triesLeft, read, outcome, now.wall));
    }
    return this.#commit(task, triesLeft, read, outcome, now.wall);
  }

  #commit(task: Task, triesLeft: number, read: MemberRecord, outcome: Outcome, wall: number): MaybePromise<Result> {
    const { channel } = task;
    const { member } = read;
    const dependsOnElsewhere =
      outcome.pending !== member.pending || (outcome.joined !== undefined && !hasAttached(member.sessions));
    const committing = this.options.engine.commit({ channel, read, outcome, wall, dependsOnElsewhere });
    if (committing instanceof Promise) {
      return committing.then((committed) => this.#finish(task, triesLeft, read, outcome, committed));
    }
    return this.#finish(task, triesLeft, read, outcome, committing);
  }

  #finish(
    task: Task,
    triesLeft: number,
    read: MemberRecord,
    outcome: Outcome,
    committed: Committed | "conflict",
  ): MaybePromise<Result> {
    if (committed === "conflict") return this.#try(task, triesLeft - 1);
    const { member, position, occupancy } = committed;
    this.#watchDeadline(task, read.member, member);
    this.#renewals.forgetEnded(read.member, member);
    for (const ended of outcome.ended) this.options.onEnded(ended);
    const result = { member, outcome, position, occupancy };
    task.onCommitted(result);
    return result;
  }

  async #keepTurn(key: string, result: Promise<Result>): Promise<Result> {
    const waiting: (() => void)[] = [];
    this.#turns.set(key, waiting);
    try {
      return await result;
    } finally {
      this.#turns.delete(key);
      for (const go of waiting) go();
    }
  }

  /**
   * Sees to it that somebody looks when the next of the member's deadlines may have come. One that was put off stays
   * where it is and is found out when its time comes: once in the life of a lease, and not at each renewal.
   */
  #watchDeadline({ key, command }: Task, before: Member, after: Member): void {
    const was = nextDeadline(before);
    const next = nextDeadline(after);
    const putOff = was !== undefined && next !== undefined && next >= was;
    // Whoever looks because a deadline came has used it up.
    if (command.kind === "expire" || (next !== was && !putOff)) this.#deadlines.set(key, next);
  }

  #expire(key: string): void {
    const failed = (error: unknown): void => {
      this.options.onError(error);
      this.#deadlines.set(key, this.options.clock.now().tick + RETRY_DEADLINE_MS);
    };
    try {
      const expiring = this.#start({ key, ...parseMemberKey(key), command: EXPIRE, onCommitted: ignore });
      if (expiring instanceof Promise) expiring.catch(failed);
    } catch (error) {
      failed(error);
    }
  }
}

const EXPIRE: Command = { kind: "expire" };

const ignore = (): void => {};

function nextTurn(waiting: (() => void)[]): Promise<void> {
  return new Promise((resolve) => waiting.push(resolve));
}

/** Names one user in one channel. No name holds control characters, so NUL parts the two for certain. */
export function memberKey(channel: ChannelId, userId: string): string {
  return `${channelKey(channel)}\0${userId}`;
}

function parseMemberKey(key: string): { channel: ChannelId; userId: string } {
  const end = key.indexOf("\0");
  return { channel: parseChannelKey(key.slice(0, end)), userId: key.slice(end + 1) };
}
