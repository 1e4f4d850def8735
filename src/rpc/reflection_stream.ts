import { constants } from "node:http2";
import { Metadata, type ServerDuplexStream, status } from "@grpc/grpc-js";
import { serviceError } from "./status.js";
import { http2StreamOf } from "./transport_internals.js";

/** Requests that may wait on a stream for the response to an earlier one. Tools wait for each response. */
const MAX_WAITING = 64;

/**
 * One reflection stream. The next request is answered when the transport has taken the response to the one before, so a client
 * that reads nothing has at most one response unsent.
 */
export class ReflectionStream {
  readonly #waiting: Buffer[] = [];
  #isResponding = false;
  #isHalfClosed = false;
  #isOver = false;

  /** `respond`: the parts of the response to a request; throws the error that ends the stream. */
  constructor(
    private readonly call: ServerDuplexStream<Buffer, Buffer>,
    private readonly respond: (request: Buffer) => readonly Uint8Array[],
  ) {
    const stream = http2StreamOf(call);
    call.once("error", () => {
      this.#isOver = true;
      this.#waiting.length = 0;
    });
    call.once("cancelled", () => {
      this.#isOver = true;
      // The trailers are on their way in the next turn. A client that does not end its side would keep the stream.
      if (stream && !this.#isHalfClosed) setImmediate(() => stream.close(constants.NGHTTP2_NO_ERROR));
    });
  }

  /** Begins to answer. */
  start(): void {
    this.call.on("data", (request: Buffer) => {
      if (this.#isOver) return;
      if (this.#waiting.length >= MAX_WAITING) {
        const details = `at most ${MAX_WAITING} requests of a stream may wait for their responses`;
        this.call.emit("error", serviceError(status.RESOURCE_EXHAUSTED, details));
        return;
      }
      this.#waiting.push(request);
      this.#next();
    });
    this.call.once("end", () => {
      this.#isHalfClosed = true;
      this.#next();
    });
  }

  #next(): void {
    if (this.#isResponding || this.#isOver) return;
    const request = this.#waiting.shift();
    if (!request) {
      if (this.#isHalfClosed) this.call.end();
      return;
    }
    try {
      this.#send(this.respond(request));
    } catch (error) {
      this.call.emit("error", error as Error);
    }
  }

  /** Straight to the HTTP/2 stream, which does not copy the parts; grpc-js does. */
  #send(parts: readonly Uint8Array[]): void {
    const { call } = this;
    const stream = http2StreamOf(call);
    const taken = (error?: Error | null): void => {
      this.#isResponding = false;
      if (!error) this.#next();
    };
    this.#isResponding = true;
    if (!stream) {
      call.write(Buffer.concat(parts), taken);
      return;
    }
    // grpc-js has ended it where a later request is too large. A write after the end would keep the status from being sent.
    if (stream.destroyed || stream.closed || stream.writableEnded) return;
    call.sendMetadata(new Metadata());
    // gRPC's prefix of a message: not compressed, and its length.
    const prefix = Buffer.alloc(5);
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    prefix.writeUInt32BE(length, 1);
    const frames = [prefix, ...parts];
    stream.cork();
    for (const [i, frame] of frames.entries()) stream.write(frame, i === frames.length - 1 ? taken : undefined);
    stream.uncork();
  }
}
