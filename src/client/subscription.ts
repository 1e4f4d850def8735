import { setImmediate as turn } from "node:timers/promises";
import type { SubscribePresenceResponse } from "../../gen/presence/v1/presence_service_pb.js";
import { onAbort } from "./abort.js";
import { applyEvent, applyState } from "./apply_event.js";
import { type Deferred, deferred, within } from "./deferred.js";
import { EventReader } from "./event_reader.js";
import type { PresenceEvent, SnapshotEvent, SubscribedEvent } from "./events.js";
import { withJson } from "./json.js";
import { PresenceError } from "./presence_error.js";
import { keepOpen, OPENING_TIMEOUT_MS } from "./reconnect.js";
import type { SubscriptionStatus } from "./status.js";
import type { Return, SubscriptionParts } from "./subscription_parts.js";
import type { ChannelId, Position, StateResult, UserState } from "./types.js";
import { withoutUser } from "./without_user.js";
import { type Write, WriteQueue } from "./write_queue.js";

/**
 * One participation in a channel: a live map of its members, and the events
 * that keep the map up to date.
 *
 * **Reconnecting.** A lost stream is opened again after a random delay that
 * grows, with the same session and from the last position. Within the presence
 * timeout the other subscribers receive nothing. `members` stays, and what was
 * missed follows as events or as a snapshot, after another `subscribed`. If the
 * user was not present meanwhile, the keys that its state lacks are set again, as
 * they were last known; where that would exceed a limit, nothing is set. Writes
 * made while the stream is away are sent when it is back. `status` and `onStatus`
 * report the state. The subscription ends by itself only with an error that
 * waiting does not cure, such as `SAME_USER_REPLACED` or `NOT_ALLOWED`.
 *
 * **Reading.** Without an iteration the subscription reads the stream, keeps
 * `members` up to date and drops the events. From the first `next()` on it reads
 * only as fast as the iteration does: `members` then matches the event that was
 * returned last, and a slow loop makes this client a slow consumer, for which the
 * server drops pending events and sends a snapshot. So carry an iteration on or
 * close it.
 *
 * **Iterating** begins with `subscribed` and, when it is there, a `snapshot`,
 * however late it begins. All iterators share one sequence of events. Leaving the
 * loop closes the subscription.
 *
 * **Own state.** The stream also carries the changes of one's own user, so that
 * `members` has them whichever device made them: about the size of the state for
 * each change. The iteration leaves them out unless `includeSelf` asks for them.
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
  #begun: PresenceEvent[] = [];
  #iterated = false;
  /** Resolved when the reading may go on; present while it waits for the iteration. */
  #wanted: Deferred<void> | undefined;
  /** What waits for the stream's return; undefined where it does not return. */
  readonly #writes: WriteQueue | undefined;
  #status: SubscriptionStatus = { state: "connecting", attempt: 0, reason: undefined, retryInMs: 0 };
  #session: string | undefined;
  /** Whose events the iteration leaves out. */
  #self: string;
  #subscribed: SubscribedEvent | undefined;
  /** The last snapshot's terms, without the members, for a snapshot made later. */
  #snapshot: Omit<SnapshotEvent, "members"> | undefined;
  #position: Position | undefined;
  /** The latest answer to a call of one's own, for a snapshot that was taken before it. */
  #own: StateResult | undefined;
  /** Present while a stream was asked for and has neither begun nor failed. */
  #opening: Deferred<void> | undefined;
  #left: Promise<void> | undefined;
  #ended = false;
  #failure: { error: unknown } | undefined;

  constructor(parts: SubscriptionParts) {
    this.#parts = parts;
    this.channel = parts.channel;
    this.userId = parts.userId;
    this.#self = parts.userId;
    this.#writes = parts.reconnect && new WriteQueue(parts.send, parts.reconnect);
    this.#members = withJson(new Map(parts.resumeFrom?.members));
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
   * Leaves: ends the iteration without an error, sends LeaveChannel and waits for
   * the answer, at most 1 second. Called before `subscribed`, it first waits until
   * the stream has begun or failed, at most 5 seconds. After it resolves, the
   * user's session is over. May be called twice.
   */
  close(): Promise<void> {
    return this.#stop(undefined);
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
    const abort = (): void => void this.#stop({ error: signal?.reason });
    if (signal?.aborted) abort();
    const unfollow = signal && onAbort(signal, abort);
    try {
      await this.#read();
      this.#end(undefined);
    } catch (error) {
      this.#end({ error });
    } finally {
      unfollow?.();
      await this.#left;
      this.#parts.onEnd(this);
    }
  }

  /** Ends what the application sees at once, and the session and its stream as soon as that is possible. */
  #stop(failure: { error: unknown } | undefined): Promise<void> {
    if (!this.#left && !this.#ended) {
      this.#end(failure);
      this.#left = this.#leave();
    }
    return this.#left ?? Promise.resolve();
  }

  async #leave(): Promise<void> {
    this.#wanted?.resolve();
    if (!this.#opening && this.#session === undefined) {
      // The server has no session of it.
      this.#cancel.abort();
      return;
    }
    // A call that is cancelled before it has begun may reach the server all the same.
    if (this.#opening) await within(OPENING_TIMEOUT_MS, this.#opening.promise);
    const hasLeft = this.#session === undefined || (await this.#parts.leave(this.#session));
    // Outside of the reading of the answer: Node sends a reset behind calls that begin later otherwise.
    if (!hasLeft) await turn();
    this.#cancel.abort();
    if (!hasLeft) await this.#parts.confirmCancel();
  }

  async #read(): Promise<void> {
    const { signal } = this.#cancel;
    const responses = keepOpen({
      open: (attempt) => this.#open(attempt),
      usable: (attempt) => this.#parts.usable(attempt),
      describeSilence: () => this.#parts.describeSilence(),
      policy: this.#parts.reconnect,
      signal,
      onStatus: (status) => this.#fares(status),
    });
    for await (const { message: response, first } of responses) {
      if (first) this.#attached(response);
      for (const message of response.events) {
        while (this.#iterated && this.#waiting.length === 0 && !this.#ended) {
          this.#wanted = deferred();
          await this.#wanted.promise;
          this.#wanted = undefined;
        }
        if (this.#ended) break;
        const event = this.#reader.read(message);
        if (event?.kind === "unknown") this.#position = event.position;
        else if (event) this.#take(event);
      }
    }
  }

  async *#open(signal: AbortSignal): AsyncGenerator<SubscribePresenceResponse, void> {
    if (this.#ended) throw new PresenceError("the subscription was closed", { code: "CANCELLED" });
    this.#opening = deferred();
    try {
      yield* this.#parts.open(this.#whereLost(), signal);
    } finally {
      this.#opened();
    }
  }

  #opened(): void {
    this.#opening?.resolve();
    this.#opening = undefined;
  }

  #whereLost(): Return | undefined {
    if (this.#session === undefined) return undefined;
    return { sessionId: this.#session, resumeFrom: this.#parts.withPresence ? this.#position : undefined };
  }

  #fares(status: SubscriptionStatus): void {
    if (this.#ended && status.state !== "closed") return;
    this.#status = status;
    if (status.state !== "live") this.#writes?.hold();
    void this.#report(status);
  }

  /** Calls the application at once. What it throws, or rejects with, ends the subscription; at `closed` it is dropped. */
  async #report(status: SubscriptionStatus): Promise<void> {
    try {
      await this.#parts.onStatus?.(status);
    } catch (error) {
      void this.#stop({ error });
    }
  }

  /**
   * A stream has begun. Looked at before the iteration gets to it: it may be waiting for a write that waits for this.
   */
  #attached({ events }: SubscribePresenceResponse): void {
    this.#reader = new EventReader();
    this.#opened();
    const subscribed = events.find(({ event }) => event.case === "subscribed");
    if (subscribed?.event.case !== "subscribed") return;
    const { sessionId, resumed } = subscribed.event.value;
    this.#self = this.userId || subscribed.userId;
    const isReturn = this.#session !== undefined;
    this.#session = sessionId;
    if (this.#ended) return;
    if (isReturn && !resumed && !this.#parts.quiet) {
      const lost = this.#carried();
      if (Object.keys(lost.states).length > 0) this.#writes?.restore(lost);
    }
    this.#writes?.release();
  }

  /** The user's state as far as it is known here. */
  #carried(): UserState {
    const known = this.#members.get(this.#self) ?? this.#own?.state;
    return known ?? { userId: this.#self, states: this.#parts.initialStates, revision: 0n };
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
    const shown = this.#parts.includeSelf ? event : withoutUser(event, this.#self);
    if (this.#iterated && shown) this.#waiting.shift()?.resolve({ done: false, value: shown });
  }

  /**
   * The stream brings one's own changes too: only an answer that is later than
   * its position is laid over it. Answers of another epoch wait for the snapshot
   * that brings that epoch here.
   */
  #overlayOwnState(): void {
    if (!this.#parts.withPresence || !this.#own || !this.#position) return;
    const { state, position } = this.#own;
    if (position.epoch !== this.#position.epoch || state.revision <= this.#position.revision) return;
    applyState(this.#members, state, state.revision);
  }

  async #next(): Promise<IteratorResult<PresenceEvent, undefined>> {
    if (!this.#iterated) {
      this.#iterated = true;
      this.#begun = this.#soFar();
    }
    const begun = this.#begun.shift();
    if (begun) return { done: false, value: begun };
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
      const members = withJson(new Map(this.#members));
      events.push({ ...this.#snapshot, position: this.#position, members, occupancy: members.size });
    }
    return events;
  }

  #end(failure: { error: unknown } | undefined): void {
    if (this.#ended) return;
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
