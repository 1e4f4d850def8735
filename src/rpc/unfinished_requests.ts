import { constants, type Http2Session, type ServerHttp2Stream } from "node:http2";
import { type ServerInterceptingCall, type ServerInterceptor, status } from "@grpc/grpc-js";
import type { Clock, Timer } from "../time/clock.js";
import { AbuseError } from "./abuse_error.js";
import type { PacedConnection } from "./paced_reading.js";
import { http2StreamBelow } from "./transport_internals.js";

/** How much waits for requests that have begun and not ended. */
export interface UnfinishedRequestsOptions {
  readonly clock: Clock;
  /** How long a request may take from its headers to its end, in ms. Default 10000. */
  readonly timeoutMs: number;
  /** Bytes of all unfinished requests together; beyond it the oldest are ended. Default 64 MiB. */
  readonly maxBytes: number;
  /** Where what a session's calls bring is counted. Absent, or undefined: nobody wants to know. */
  readonly pacedOf?: (session: Http2Session) => PacedConnection | undefined;
  /** A request of this method was ended before it was whole. */
  readonly onCut: (method: string) => void;
}

/**
 * So many requests of one connection may be reset within a second before they are whole. No honest client does that; to
 * rapid resets each is a call's work for nothing, and Node itself ends a connection only after a thousand of them.
 */
const MOST_RESETS = 50;
const RESETS_MS = 1000;

/** A request that has begun. */
interface Unfinished {
  readonly since: number;
  readonly isEndless: boolean;
  bytes: number;
  cut(code: status, details: string): void;
}

/**
 * Sees to it that requests come to their end. Before a handler hears of a call grpc-js keeps what has arrived of it, for
 * as long as the client likes: a few connections with streams that never end would fill the memory.
 *
 * Whoever is honest is done in a moment, so it is the oldest that have to go. A connection on which request after request
 * is reset is ended.
 */
export class UnfinishedRequests {
  /** The oldest first. */
  readonly #requests = new Set<Unfinished>();
  /** By connection: requests that were reset before they were whole, and since when they are counted. */
  readonly #resets = new WeakMap<Http2Session, { count: number; since: number }>();
  #bytes = 0;
  #timer: Timer | undefined;

  constructor(private readonly options: UnfinishedRequestsOptions) {}

  /** Bytes that have arrived of requests that have not ended. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Looks on as a call begins, and leaves it as it is. */
  readonly interceptor: ServerInterceptor = (method, call) => {
    const stream = http2StreamBelow(call);
    if (stream) {
      const cut = (code: status, details: string): void => {
        call.sendStatus({ code, details });
        stream.close(constants.NGHTTP2_NO_ERROR);
        this.options.onCut(method.path.slice(method.path.lastIndexOf("/") + 1));
      };
      this.#watch(stream, method.requestStream, cut);
    }
    // As it came: wrapping it would cost each call, and what it is wrapped in has no more to it than what it is.
    return call as ServerInterceptingCall;
  };

  /** Stops watching. */
  close(): void {
    this.#timer?.cancel();
    this.#requests.clear();
  }

  /** `isEndless`: the client may go on for as long as it likes, as it asks for one thing after the other. */
  #watch(stream: ServerHttp2Stream, isEndless: boolean, cut: Unfinished["cut"]): void {
    const request: Unfinished = { since: this.options.clock.now().tick, isEndless, bytes: 0, cut };
    this.#requests.add(request);
    this.#timer ??= this.options.clock.setTimer(this.options.timeoutMs, () => this.#cutLate());
    // A stream that is gone no longer knows.
    const { session } = stream;
    const paced = session && this.options.pacedOf?.(session);
    paced?.called();
    const onData = ({ length }: Buffer): void => {
      paced?.heard(length);
      if (!this.#requests.has(request)) return;
      request.bytes += length;
      this.#bytes += length;
      if (this.#bytes > this.options.maxBytes) this.#cutOldest();
    };
    // The answer may go on for hours: nothing of this is to stay with it.
    const ended = (): void => {
      stream.off("data", onData).off("end", ended).off("close", ended).off("aborted", aborted);
      this.#forget(request);
    };
    // Of a request that was reset the end comes as well, and after this.
    const aborted = (): void => {
      if (session && this.#requests.has(request)) this.#wasReset(session);
    };
    stream.on("data", onData).on("end", ended).on("close", ended).on("aborted", aborted);
  }

  #wasReset(session: Http2Session): void {
    if (session.destroyed) return;
    const now = this.options.clock.now().tick;
    let resets = this.#resets.get(session);
    if (!resets || now - resets.since >= RESETS_MS) {
      resets = { count: 0, since: now };
      this.#resets.set(session, resets);
    }
    resets.count++;
    if (resets.count <= MOST_RESETS) return;
    const why = `more than ${MOST_RESETS} requests were reset within ${RESETS_MS} ms before they were whole`;
    session.destroy(new AbuseError(why), constants.NGHTTP2_ENHANCE_YOUR_CALM);
  }

  #forget(request: Unfinished): void {
    if (this.#requests.delete(request)) this.#bytes -= request.bytes;
  }

  #cut(request: Unfinished, code: status, details: string): void {
    this.#forget(request);
    request.cut(code, details);
  }

  #cutOldest(): void {
    for (const request of this.#requests) {
      if (this.#bytes <= this.options.maxBytes) return;
      if (request.bytes > 0)
        this.#cut(request, status.RESOURCE_EXHAUSTED, "too many requests do not come to their end");
    }
  }

  #cutLate(): void {
    const { clock, timeoutMs } = this.options;
    const now = clock.now().tick;
    this.#timer = undefined;
    for (const request of this.#requests) {
      if (request.isEndless) continue;
      const leftMs = request.since + timeoutMs - now;
      if (leftMs > 0) {
        this.#timer = clock.setTimer(leftMs, () => this.#cutLate());
        return;
      }
      this.#cut(request, status.DEADLINE_EXCEEDED, `the request did not arrive within ${timeoutMs} ms`);
    }
  }
}
