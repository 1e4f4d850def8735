import { setImmediate as turn } from "node:timers/promises";
import type { WatchChannelsResponse } from "../../gen/presence/v1/presence_service_pb.js";
import { onAbort } from "./abort.js";
import { type Deferred, deferred, within } from "./deferred.js";
import type { FeedEvent } from "./events.js";
import { FeedReader } from "./feed_reader.js";
import { PresenceError } from "./presence_error.js";
import { type KeepOpenOptions, keepOpen, OPENING_TIMEOUT_MS } from "./reconnect.js";
import { INITIAL_STATUS, type SubscriptionStatus } from "./status.js";

/** How a feed opens its streams, again when they are lost. */
export interface FeedStreams
  extends Pick<KeepOpenOptions<WatchChannelsResponse>, "open" | "usable" | "describeSilence" | "policy"> {
  /** Ends the iteration, which then fails with the signal's reason. */
  readonly signal: AbortSignal | undefined;
  /** Whether there is a connection to the server now. */
  isConnected(): boolean;
}

/** Called as an iteration of a feed goes on. */
export interface FeedIterationEvents {
  /** The first `next()` was called; nothing was sent yet. */
  onStart(iteration: FeedIteration): void;
  /** The status is another one. What it throws ends the iteration. */
  onStatus(status: SubscriptionStatus): void;
  /** The iteration that started is over, and its stream was cancelled. Not called where `onStart` ended it. */
  onEnd(iteration: FeedIteration): void;
}

/**
 * One iteration of a feed, with a stream of its own. Reads one message of the stream ahead of the loop and no more, so
 * that a slow loop makes this client a slow consumer. A lost stream is noticed, and opened again, when the messages
 * before its end were read.
 */
export class FeedIteration implements AsyncIterator<FeedEvent, undefined> {
  readonly #streams: FeedStreams;
  readonly #events: FeedIterationEvents;
  readonly #reader = new FeedReader();
  readonly #cancel = new AbortController();
  /** Calls of `next()` that have no event yet. */
  readonly #waiting: Deferred<IteratorResult<FeedEvent, undefined>>[] = [];
  /** Resolved when the loop asks for an event; present while the reading waits for that. */
  #wanted: Deferred<void> | undefined;
  /** Present while a stream was asked for and has neither begun nor failed. */
  #opening: Deferred<void> | undefined;
  #status: SubscriptionStatus = INITIAL_STATUS;
  #started = false;
  #ended = false;
  #failure: { error: unknown } | undefined;
  #left: Promise<void> | undefined;

  constructor(streams: FeedStreams, events: FeedIterationEvents) {
    this.#streams = streams;
    this.#events = events;
  }

  /** State of the stream. */
  get status(): SubscriptionStatus {
    return this.#status;
  }

  /** The next event. Rejects once with the error that ended the iteration. */
  next(): Promise<IteratorResult<FeedEvent, undefined>> {
    if (!this.#started && !this.#ended) {
      this.#started = true;
      this.#events.onStart(this);
      if (!this.#ended) void this.#run();
    }
    if (this.#ended) return this.#finish();
    const waiting = deferred<IteratorResult<FeedEvent, undefined>>();
    this.#waiting.push(waiting);
    this.#wanted?.resolve();
    return waiting.promise;
  }

  /** Called when the loop is left. */
  async return(): Promise<IteratorResult<FeedEvent, undefined>> {
    await this.close();
    return { done: true, value: undefined };
  }

  /** Ends the iteration at once and without an error. Resolves when its stream was cancelled. */
  close(): Promise<void> {
    return this.#stop(undefined);
  }

  async #run(): Promise<void> {
    const { signal } = this.#streams;
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
      this.#events.onEnd(this);
    }
  }

  async #read(): Promise<void> {
    const responses = keepOpen({
      ...this.#streams,
      open: (attempt) => this.#open(attempt),
      signal: this.#cancel.signal,
      onStatus: (status) => this.#report(status),
    });
    for await (const { message: response } of responses) {
      for (const message of response.events) {
        const event = this.#reader.read(message);
        if (!event) continue;
        while (this.#waiting.length === 0 && !this.#ended) {
          this.#wanted = deferred();
          await this.#wanted.promise;
        }
        if (this.#ended) return;
        this.#waiting.shift()?.resolve({ done: false, value: event });
      }
    }
  }

  async *#open(signal: AbortSignal): AsyncGenerator<WatchChannelsResponse, void> {
    if (this.#ended) throw new PresenceError("the feed was closed", { code: "CANCELLED" });
    this.#opening = deferred();
    try {
      for await (const response of this.#streams.open(signal)) {
        this.#opened();
        yield response;
      }
    } finally {
      this.#opened();
    }
  }

  #opened(): void {
    this.#opening?.resolve();
    this.#opening = undefined;
  }

  #report(status: SubscriptionStatus): void {
    if (!this.#started || (this.#ended && status.state !== "closed")) return;
    this.#status = status;
    this.#events.onStatus(status);
  }

  #stop(failure: { error: unknown } | undefined): Promise<void> {
    if (!this.#left && !this.#ended) {
      this.#left = this.#leave();
      this.#end(failure);
    }
    return this.#left ?? Promise.resolve();
  }

  async #leave(): Promise<void> {
    // grpc-js does not cancel a call for which it looks for a server yet, and sends it once it has found one. With a
    // connection that takes no longer than the current turn.
    if (this.#opening && !this.#streams.isConnected()) await within(OPENING_TIMEOUT_MS, this.#opening.promise);
    else await turn();
    this.#cancel.abort();
  }

  #end(failure: { error: unknown } | undefined): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#failure = failure;
    try {
      this.#report({ state: "closed", reason: failure?.error });
    } catch (error) {
      this.#failure ??= { error };
    }
    for (const waiting of this.#waiting.splice(0)) this.#finish().then(waiting.resolve, waiting.reject);
    this.#wanted?.resolve();
  }

  async #finish(): Promise<IteratorResult<FeedEvent, undefined>> {
    const failure = this.#failure;
    this.#failure = undefined;
    if (failure) throw failure.error;
    return { done: true, value: undefined };
  }
}
