import type { Http2Session, ServerHttp2Stream } from "node:http2";
import type { ServerInterceptingCall, ServerInterceptor } from "@grpc/grpc-js";
import { http2StreamBelow, scheduleDecompression } from "./transport_internals.js";

/** Requests that are decompressed at the same time. zlib runs on four threads by default. */
const AT_ONCE = 8;

/**
 * Bounds how many requests are decompressed at the same time: 1 KiB may become as much as the largest message, and
 * grpc-js decompresses each request when it is complete. The others wait; connections take turns. Meanwhile a request
 * counts as unfinished, with the bytes that arrived.
 */
export class CompressedRequests {
  /** What waits, by connection; the connection whose turn is next comes first. */
  readonly #waiting = new Map<Http2Session, Set<() => void>>();
  #running = 0;

  /** Leaves calls without compression as they are. */
  readonly interceptor: ServerInterceptor = (_, call) => {
    const stream = http2StreamBelow(call);
    const session = stream?.session;
    if (session) scheduleDecompression(call, (decompress) => this.#schedule(stream, session, decompress));
    return call as ServerInterceptingCall;
  };

  #schedule(stream: ServerHttp2Stream, session: Http2Session, decompress: () => Promise<Buffer>): Promise<Buffer> {
    return new Promise((resolve) => {
      const start = (): void => {
        this.#running++;
        const ended = (): void => {
          this.#running--;
          this.#startNext();
        };
        const message = decompress();
        message.then(ended, ended);
        resolve(message);
      };
      this.#add(session, start);
      stream.once("close", () => this.#remove(session, start));
      this.#startNext();
    });
  }

  #add(session: Http2Session, start: () => void): void {
    const waiting = this.#waiting.get(session);
    if (waiting) waiting.add(start);
    else this.#waiting.set(session, new Set([start]));
  }

  #remove(session: Http2Session, start: () => void): void {
    const waiting = this.#waiting.get(session);
    if (waiting?.delete(start) && waiting.size === 0) this.#waiting.delete(session);
  }

  #startNext(): void {
    for (const [session, waiting] of this.#waiting) {
      if (this.#running >= AT_ONCE) return;
      const [start] = waiting;
      waiting.delete(start!);
      this.#waiting.delete(session);
      // At the end: a map lists what is added while it is iterated.
      if (waiting.size > 0) this.#waiting.set(session, waiting);
      start!();
    }
  }
}
