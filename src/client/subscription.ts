import type { SubscribePresenceResponse } from "../../gen/presence/v1/presence_service_pb.js";
import { applyEvent, applyState } from "./apply_event.js";
import type { Deferred } from "./deferred.js";
import { deferred } from "./deferred.js";
import { EventReader } from "./event_reader.js";
import type { PresenceEvent, SnapshotEvent, SubscribedEvent } from "./events.js";
import { PresenceError } from "./presence_error.js";
import { keepOpen, type ReconnectPolicy } from "./reconnect.js";
import type { SubscriptionStatus } from "./status.js";
import type { ChannelId, Position, StateResult, UserState } from "./types.js";
import { type Send, type Write, WriteQueue } from "./write_queue.js";

/** A point to take a stream up from: a position, and who was present there. An earlier Subscription is one. */
export interface ResumePoint {
  readonly position: Position | undefined;
  readonly members: ReadonlyMap<string, UserState>;
}

/** Where a stream that was lost is taken up again (S4, S16). */
export interface Return {
  readonly sessionId: string;
  /** Undefined where nothing is held yet, or without presence. */
  readonly resumeFrom: Position | undefined;
}

/** What a Subscription is made of. */
export interface SubscriptionParts {
  readonly channel: ChannelId;
  /** Who takes part; empty for the one that the server takes the caller for. */
  readonly userId: string;
  /** Whether the user is invisible, and has no state here. */
  readonly quiet: boolean;
  readonly initialStates: Readonly<Record<string, string>>;
  /** Whether snapshot and events are asked for. */
  readonly withPresence: boolean;
  /** Whether the stream brings one's own events too. */
  readonly includeSelf: boolean;
  readonly resumeFrom?: ResumePoint;
  /** Ends the subscription as `close()` does; iteration, `ready` and `closed` then fail with its reason. */
  readonly signal?: AbortSignal;
  /** How to come back when the stream was lost; undefined: that is the end. */
  readonly reconnect: ReconnectPolicy | undefined;
  /** Told of each new status, before anything else hears of what led to it. */
  readonly onStatus: ((status: SubscriptionStatus) => void) | undefined;
  /** Starts the stream, or one that goes on where another was lost; aborting the signal cancels it. */
  open(from: Return | undefined, signal: AbortSignal): AsyncIterable<SubscribePresenceResponse>;
  /** Resolves when the connection is there again, or is being made. */
  usable(signal: AbortSignal): Promise<void>;
  /** Carries out a change of the user's state. */
  readonly send: Send;
  /** Resolves once the server has read all that was sent to it before. */
  settle(): Promise<void>;
  /** Ends a session whose stream was lost, as well as it goes in a second. */
  leave(sessionId: string): Promise<void>;
  /** Called once, when the stream is over. */
  onEnd(subscription: Subscription): void;
}

/**
 * One participation in a channel: a live map of who is there, and the events
 * that keep it.
 *
 * **Coming back.** A stream that is lost is opened again, after a random time
 * that grows, with the session and from the position where it was lost. Within
 * the presence timeout the others hear nothing of it (S4). `members` stays, and
 * what was missed follows as events or as a snapshot, after a `subscribed` of its
 * own. When the server had given the user up meanwhile, its state is set again.
 * What the user sets while away waits, and goes out on return. `status` and
 * `onStatus` tell how it fares. Ends by itself only with an error that waiting
 * does not cure, such as `SAME_USER_REPLACED` or `NOT_ALLOWED`.
 *
 * **Reading.** While nobody iterates, the subscription reads the stream by
 * itself, keeps `members` right and lets the events go; it holds no more than the
 * members. From the first `next()` on, it reads only as fast as the iteration
 * does: `members` is then always as of the event in hand, and a slow loop is felt
 * by the server, which drops what is pending and sends a snapshot instead (S16a).
 * So an iteration that was begun should be carried on or closed.
 *
 * **Iterating** begins with `subscribed` and, as soon as it is there, a
 * `snapshot`, however late it begins. There is one sequence of events: several
 * iterators share it. Leaving the loop closes the subscription.
 *
 * **One's own state.** The service does not send a user its own events unless
 * `includeSelf` asks for them. `members` has the results of `setState` and
 * `removeState` calls made through the same client; changes that the same user
 * makes elsewhere are seen with `includeSelf` only.
 */
export class Subscription implements AsyncIterable<PresenceEvent>, AsyncDisposable {
  /** The channel subscribed to. */
  readonly channel: ChannelId;
  /** Resolves at the first complete snapshot; without presence, or when resuming, as soon as the stream has begun. */
  readonly ready: Promise<void>;
  /** Resolves when the subscription was closed, here or by LeaveChannel; rejects with the error that ended it. */
  readonly closed: Promise<void>;
  /** Whose state and presence this is; empty for the one that the server takes the caller for. */
  readonly userId: string;

  readonly #parts: SubscriptionParts;
  readonly #members: Map<string, UserState>;
  #reader = new EventReader();
  readonly #cancel = new AbortController();
  readonly #ready = deferred<void>();
  readonly #closed = deferred<void>();
  /** Calls of `next()` that have no event yet. */
  readonly #waiting: Deferred<IteratorResult<PresenceEvent, undefined>>[] = [];
  /** What a late iteration begins with. */
  #opening: PresenceEvent[] = [];
  #iterated = false;
  /** Resolved when the reading may go on; present while it waits for the iteration. */
  #wanted: Deferred<void> | undefined;
  /** What waits for the stream's return; undefined where it does not return. */
  readonly #writes: WriteQueue | undefined;
  #status: SubscriptionStatus = { state: "connecting", attempt: 0, reason: undefined, retryInMs: 0 };
  #session: string | undefined;
  #subscribed: SubscribedEvent | undefined;
  /** The last snapshot's terms, without the members, for a snapshot made later. */
  #snapshot: Omit<SnapshotEvent, "members"> | undefined;
  #position: Position | undefined;
  /** The latest answer to a call of one's own, for a snapshot that was taken before it. */
  #own: StateResult | undefined;
  #closing = false;
  #left: Promise<void> | undefined;
  #ended = false;
  #failure: { error: unknown } | undefined;

  constructor(parts: SubscriptionParts) {
    this.#parts = parts;
    this.channel = parts.channel;
    this.userId = parts.userId;
    this.#writes = parts.reconnect && new WriteQueue(parts.send, parts.reconnect);
    this.#members = new Map(parts.resumeFrom?.members);
    this.#position = parts.resumeFrom?.position;
    this.ready = this.#ready.promise;
    this.closed = this.#closed.promise;
    // Whoever does not look at these two must not be ended by an unhandled
    // rejection: the iteration tells of the same failure.
    this.ready.catch(() => {});
    this.closed.catch(() => {});
    void this.#run();
  }

  /** Who is present, by user id, oneself included; empty without presence, and before `ready`. Always the same map. */
  get members(): ReadonlyMap<string, UserState> {
    return this.#members;
  }

  /** How the subscription fares. */
  get status(): SubscriptionStatus {
    return this.#status;
  }

  /** The session's name, given by the server: undefined before `subscribed`. As good as a key: do not show it to others. */
  get sessionId(): string | undefined {
    return this.#session;
  }

  /** The position that `members` is as of; undefined before the first. */
  get position(): Position | undefined {
    return this.#position;
  }

  /**
   * Leaves: cancels the stream. Resolves when the server has read that, so that
   * whoever asks afterwards no longer finds the user (S2), or after a second
   * without an answer. Ends an iteration without an error. May be called twice.
   */
  close(): Promise<void> {
    this.#left ??= this.#leave();
    return this.#left;
  }

  async #leave(): Promise<void> {
    if (await this.cancel()) await this.#parts.settle();
  }

  /**
   * As `close`, without waiting until the server has read it; tells whether there is anything that it must read.
   *
   * @internal
   */
  async cancel(): Promise<boolean> {
    if (this.#ended) return false;
    const isAway = this.#session !== undefined && this.#status.state !== "live";
    this.#closing = true;
    this.#cancel.abort();
    this.#wanted?.resolve();
    await this.closed.catch(() => {});
    // A session that is away cannot be cancelled, and would be there for the others until its time is over.
    if (isAway) await this.#parts.leave(this.#session!);
    return !isAway;
  }

  /** The same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }

  /** Iterates over the events; see above. Fails with a PresenceError, or the signal's reason, when the stream does. */
  [Symbol.asyncIterator](): AsyncIterator<PresenceEvent, undefined> {
    return {
      next: () => this.#next(),
      return: async () => {
        await this.close();
        return { done: true, value: undefined };
      },
    };
  }

  /**
   * Whether it is this user's, in this channel: one client may act for several users.
   *
   * @internal
   */
  isOf({ type, name }: ChannelId, userId: string): boolean {
    return this.channel.type === type && this.channel.name === name && this.userId === userId;
  }

  /**
   * Changes the user's state, now or when the stream is back.
   *
   * @internal
   */
  write(write: Write, signal: AbortSignal | undefined): Promise<StateResult> {
    const { send } = this.#parts;
    return this.#writes && !this.#ended ? this.#writes.push(write, signal) : send(write, signal);
  }

  /**
   * Takes in the answer to a call of one's own, which the stream does not tell of.
   *
   * @internal
   */
  takeOwnState(result: StateResult): void {
    if (result.pending) return;
    const { epoch } = result.position;
    const older = this.#own?.position.epoch === epoch && this.#own.state.revision > result.state.revision;
    if (!older) this.#own = result;
    this.#overlayOwnState();
  }

  async #run(): Promise<void> {
    const { signal } = this.#parts;
    const abort = (): void => {
      this.#cancel.abort(signal?.reason);
      this.#wanted?.resolve();
    };
    if (signal?.aborted) abort();
    signal?.addEventListener("abort", abort, { once: true });
    try {
      await this.#read();
      this.#end(undefined);
    } catch (error) {
      this.#end(this.#closing ? undefined : { error });
    } finally {
      signal?.removeEventListener("abort", abort);
      this.#parts.onEnd(this);
    }
  }

  async #read(): Promise<void> {
    const { signal } = this.#cancel;
    const responses = keepOpen({
      open: (attempt) => this.#parts.open(this.#whereLost(), attempt),
      usable: (attempt) => this.#parts.usable(attempt),
      policy: this.#parts.reconnect,
      signal,
      onStatus: (status) => this.#fares(status),
    });
    for await (const { message: response, first } of responses) {
      if (first) this.#attached(response);
      for (const message of response.events) {
        while (this.#iterated && this.#waiting.length === 0 && !signal.aborted) {
          this.#wanted = deferred();
          await this.#wanted.promise;
          this.#wanted = undefined;
        }
        signal.throwIfAborted();
        const event = this.#reader.read(message);
        if (event?.kind === "unknown") this.#position = event.position;
        else if (event) this.#take(event);
      }
    }
  }

  #whereLost(): Return | undefined {
    if (this.#session === undefined) return undefined;
    return { sessionId: this.#session, resumeFrom: this.#parts.withPresence ? this.#position : undefined };
  }

  #fares(status: SubscriptionStatus): void {
    this.#status = status;
    if (status.state !== "live") this.#writes?.hold();
    this.#parts.onStatus?.(status);
  }

  /**
   * A stream has begun. Looked at before the iteration gets to it: it may be waiting for a write that waits for this.
   */
  #attached({ events }: SubscribePresenceResponse): void {
    this.#reader = new EventReader();
    const subscribed = events.find(({ event }) => event.case === "subscribed")?.event;
    if (subscribed?.case !== "subscribed") return;
    const { sessionId, resumed } = subscribed.value;
    const isReturn = this.#session !== undefined;
    this.#session = sessionId;
    if (isReturn && !resumed && !this.#parts.quiet) {
      const states = this.#carried();
      if (Object.keys(states).length > 0) this.#writes?.restore(states);
    }
    this.#writes?.release();
  }

  /** The user's state as far as it is known here. */
  #carried(): Readonly<Record<string, string>> {
    const { userId, initialStates } = this.#parts;
    const told = this.#members.get(userId) ?? this.#own?.state;
    return told?.states ?? initialStates;
  }

  /** Applies and hands over without a pause in between, so that nobody sees the one without the other. */
  #take(event: PresenceEvent): void {
    applyEvent(this.#members, event);
    if (event.kind === "subscribed") {
      this.#subscribed = event;
      if (!this.#parts.withPresence) this.#position = event.position;
      if (!this.#parts.withPresence || this.#parts.resumeFrom) this.#ready.resolve();
    } else {
      this.#position = event.position;
    }
    if (event.kind === "snapshot") {
      const { members: _, ...terms } = event;
      this.#snapshot = terms;
      this.#overlayOwnState();
      this.#ready.resolve();
    }
    if (this.#iterated) this.#waiting.shift()?.resolve({ done: false, value: event });
  }

  /**
   * What the stream has told, or would have told, about oneself stands; only a
   * later answer is laid over it. Answers of another epoch cannot be compared and
   * wait for the snapshot that brings that epoch here.
   */
  #overlayOwnState(): void {
    if (!this.#parts.withPresence) return;
    const told = this.#parts.includeSelf ? this.#position : (this.#snapshot ?? this.#parts.resumeFrom)?.position;
    if (!this.#own || !told || !this.#position || this.#own.position.epoch !== told.epoch) return;
    const { state } = this.#own;
    if (state.revision > told.revision) applyState(this.#members, state, state.revision);
  }

  async #next(): Promise<IteratorResult<PresenceEvent, undefined>> {
    if (!this.#iterated) {
      this.#iterated = true;
      this.#opening = this.#soFar();
    }
    const opening = this.#opening.shift();
    if (opening) return { done: false, value: opening };
    if (this.#ended) return this.#finish();
    const waiting = deferred<IteratorResult<PresenceEvent, undefined>>();
    this.#waiting.push(waiting);
    this.#wanted?.resolve();
    return waiting.promise;
  }

  #soFar(): PresenceEvent[] {
    const events: PresenceEvent[] = [];
    if (this.#subscribed) events.push(this.#subscribed);
    if (this.#snapshot && this.#position) {
      const members = new Map(this.#members);
      events.push({ ...this.#snapshot, position: this.#position, members, occupancy: members.size });
    }
    return events;
  }

  #end(failure: { error: unknown } | undefined): void {
    this.#ended = true;
    this.#failure = failure;
    this.#writes?.close(
      new PresenceError("the subscription was closed before the state was sent", { code: "CANCELLED" }),
    );
    if (failure) this.#closed.reject(failure.error);
    else this.#closed.resolve();
    this.#ready.reject(
      failure
        ? failure.error
        : new PresenceError("the subscription was closed before it was ready", { code: "CANCELLED" }),
    );
    for (const waiting of this.#waiting.splice(0)) this.#finish().then(waiting.resolve, waiting.reject);
    this.#fares({ state: "closed", reason: failure?.error });
  }

  /** Ends the iteration, and tells of the failure once, as a generator does. */
  async #finish(): Promise<IteratorResult<PresenceEvent, undefined>> {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) throw failure.error;
    return { done: true, value: undefined };
  }
}
