import type { Http2Session, ServerHttp2Stream } from "node:http2";
import type { StreamEnd } from "../service/subscriber.js";
import type { Clock, Timer } from "../time/clock.js";
import { type AnyCall, http2StreamOf } from "./transport_internals.js";

/** How long after a cancel the end of the connection makes it a disconnect, in milliseconds. */
const DECISION_MS = 50;

/** A stream that its client cancelled. */
export interface CancelledStream {
  /** Its connection. Undefined: unknown; later calls on it and GOAWAY are then not noticed. */
  readonly session: Http2Session | undefined;
  /** Whether neither side has ended the connection's socket. */
  readonly isConnected: () => boolean;
  /** Carries the decision out. `since` is the tick of the cancel. */
  readonly decide: (how: StreamEnd, since?: number) => Promise<void>;
}

interface Undecided extends CancelledStream {
  readonly since: number;
  /** Calls with a greater stream id came after the cancel. */
  readonly lastStreamId: number;
  readonly timer: Timer;
}

/** What the undecided streams need. */
export interface CancelledStreamsOptions {
  readonly clock: Clock;
  /** Calls back after everything that had arrived on the sockets was read, as `setImmediate` does in a timer. */
  readonly afterReading: (callback: () => void) => void;
}

/**
 * Decides whether a cancelled stream is a leave or a disconnect.
 *
 * Libraries that close a channel cancel its streams first and then end the connection, some of them milliseconds later.
 * Therefore a cancel is a disconnect if the connection ends within 50 ms, and a leave if it does not, or as soon as
 * another call begins on the connection.
 */
export class CancelledStreams {
  readonly #undecided = new Set<Undecided>();
  /** The same by connection, with the listener to its calls. */
  readonly #bySession = new Map<Http2Session, { streams: Set<Undecided>; onCall: (call: ServerHttp2Stream) => void }>();
  /** Leaves that are being carried out. */
  readonly #leaving = new Map<Http2Session, Promise<unknown>>();
  #isDraining = false;

  constructor(private readonly options: CancelledStreamsOptions) {}

  /** To be called while the reset of the stream is being read, so that no later frame has been. */
  add(stream: CancelledStream): void {
    const { clock, afterReading } = this.options;
    const { session } = stream;
    const undecided: Undecided = {
      ...stream,
      since: clock.now().tick,
      lastStreamId: session?.state.lastProcStreamID ?? 0,
      timer: clock.setTimer(DECISION_MS, () => afterReading(() => this.#decide(undecided))),
    };
    this.#undecided.add(undecided);
    if (session) this.#listen(session, undecided);
    if (this.#isDraining || this.#hasEnded(stream)) this.#decide(undecided);
  }

  /** What a call has to wait for: leaves of its connection that are being carried out. Undefined: nothing. */
  before(call: AnyCall): Promise<unknown> | undefined {
    if (this.#leaving.size === 0) return undefined;
    const session = http2StreamOf(call)?.session;
    return session && this.#leaving.get(session);
  }

  /**
   * Decides about all streams. From now on a cancel is a leave at once: the server sends GOAWAY to all clients, which end
   * their connections with the last stream, whatever they mean by that.
   */
  drain(): void {
    for (const stream of this.#undecided) this.#decide(stream);
    this.#isDraining = true;
  }

  #listen(session: Http2Session, stream: Undecided): void {
    const known = this.#bySession.get(session);
    if (known) {
      known.streams.add(stream);
      return;
    }
    const streams = new Set([stream]);
    const onCall = ({ id }: ServerHttp2Stream): void => {
      for (const stream of streams) if (id! > stream.lastStreamId) this.#decide(stream);
    };
    this.#bySession.set(session, { streams, onCall });
    // Before the call itself is begun.
    session.prependListener("stream", onCall);
  }

  #decide(stream: Undecided): void {
    if (!this.#undecided.delete(stream)) return;
    stream.timer.cancel();
    if (stream.session) this.#forget(stream.session, stream);
    if (this.#hasEnded(stream)) {
      void stream.decide("lost", stream.since);
      return;
    }
    const leaving = stream.decide("cancelled", stream.since);
    if (stream.session) this.#keepUntilLeft(stream.session, leaving);
  }

  #forget(session: Http2Session, stream: Undecided): void {
    const known = this.#bySession.get(session)!;
    known.streams.delete(stream);
    if (known.streams.size > 0) return;
    this.#bySession.delete(session);
    session.off("stream", known.onCall);
  }

  #keepUntilLeft(session: Http2Session, leaving: Promise<void>): void {
    const all: Promise<unknown> = Promise.all([this.#leaving.get(session), leaving]).finally(() => {
      if (this.#leaving.get(session) === all) this.#leaving.delete(session);
    });
    this.#leaving.set(session, all);
  }
  /** Node closes a session when GOAWAY arrives, and grpc-js closes all of them when the server drains. */
  #hasEnded({ session, isConnected }: CancelledStream): boolean {
    if (!isConnected() || session?.destroyed) return true;
    return session?.closed === true && !this.#isDraining;
  }
}
