import { constants, type ServerHttp2Stream } from "node:http2";
import { type ServerInterceptingCall, type ServerInterceptor, status } from "@grpc/grpc-js";
import type { Clock, Timer } from "../time/clock.js";
import { http2StreamBelow } from "./transport_internals.js";

/** How much waits for requests that have begun and not ended. */
export interface UnfinishedRequestsOptions {
  readonly clock: Clock;
  /** How long a request may take from its headers to its end, in ms. Default 10000. */
  readonly timeoutMs: number;
  /** Bytes of all unfinished requests together; beyond it the oldest are ended. Default 64 MiB. */
  readonly maxBytes: number;
  /** A request of this method was ended before it was whole. */
  readonly onCut: (method: string) => void;
}

/** Before each message of gRPC: whether it is compressed, and its length. */
const PREFIX_BYTES = 5;

/** A request that has begun. */
interface Unfinished {
  readonly since: number;
  readonly isEndless: boolean;
  bytes: number;
  cut(code: status, details: string): void;
}

/** What arrives of the first message of a request: a prefix of 5 bytes, with its length, and the message. */
class FirstMessage {
  #received = 0;
  /** With the prefix; undefined: not known yet. */
  #length: number | undefined;
  #prefix: Buffer | undefined;

  add(chunk: Buffer): void {
    this.#received += chunk.length;
    if (this.#length !== undefined) return;
    this.#prefix = this.#prefix ? Buffer.concat([this.#prefix, chunk]) : chunk;
    if (this.#received < PREFIX_BYTES) return;
    this.#length = PREFIX_BYTES + this.#prefix.readUInt32BE(1);
    this.#prefix = undefined;
  }

  /** What is wrong with a request that ends now; undefined: it has a whole message. */
  get missing(): string | undefined {
    if (this.#received === 0) return "the request ended without a message";
    if (this.#length === undefined)
      return `the request ended after ${this.#received} of the ${PREFIX_BYTES} bytes before a message`;
    if (this.#received >= this.#length) return undefined;
    return `the request ended after ${this.#received - PREFIX_BYTES} of the ${this.#length - PREFIX_BYTES} bytes of its message`;
  }
}

/**
 * Sees to it that requests come to their end. Before a handler hears of a call grpc-js keeps what has arrived of it, for
 * as long as the client likes: a few connections with streams that never end would fill the memory.
 *
 * An ordinary request arrives within moments, so the oldest are ended first.
 */
export class UnfinishedRequests {
  /** The oldest first. */
  readonly #requests = new Set<Unfinished>();
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
    const message = new FirstMessage();
    const onData = (chunk: Buffer): void => {
      const { length } = chunk;
      message.add(chunk);
      if (!this.#requests.has(request)) return;
      request.bytes += length;
      this.#bytes += length;
      if (this.#bytes > this.options.maxBytes) this.#cutOldest();
    };
    // The answer may go on for hours: nothing of this is to stay with it.
    const closed = (): void => {
      stream.off("data", onData).off("end", ended).off("close", closed);
      this.#forget(request);
    };
    const ended = (): void => {
      closed();
      const { missing } = message;
      if (!isEndless && missing !== undefined) cut(status.INVALID_ARGUMENT, missing);
    };
    // Before grpc-js hears of the end, which would call a message that is cut short an unimplemented method.
    stream.on("data", onData).prependListener("end", ended).on("close", closed);
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
