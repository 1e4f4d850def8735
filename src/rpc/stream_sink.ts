import type { ServerHttp2Stream } from "node:http2";
import { Metadata, type ServerWritableStream } from "@grpc/grpc-js";
import type { Heartbeat, Heartbeats } from "../fanout/heartbeats.js";
import type { Sink } from "../fanout/ports.js";
import type { PresenceError } from "../model/errors.js";
import { CallSink, endCall, MAX_UNSENT_BYTES } from "./call_sink.js";
import { http2StreamOf } from "./transport_internals.js";
import type { UnreadAnswers } from "./unread_answers.js";

/** Before each message of gRPC: whether it is compressed, and its length. */
const PREFIX_BYTES = 5;

/**
 * From this size on the prefix is written by itself and the message as it is: readers of a snapshot are at different
 * chunks of it, and a copy for each of them would cost more than the second write.
 */
const LARGE_BYTES = 64 * 1024;

/**
 * Puts gRPC's prefix before messages. A batch is written to all readers of a channel one after the other, so remembering
 * the last one is enough to do it once for all of them.
 */
export class Framer {
  #message: Uint8Array | undefined;
  #framed: Buffer = Buffer.alloc(0);

  /** The message with its prefix; the same memory for the same message. */
  frame(message: Uint8Array): Buffer {
    if (message !== this.#message) {
      const framed = Buffer.allocUnsafeSlow(PREFIX_BYTES + message.length);
      writePrefix(framed, message.length);
      framed.set(message, PREFIX_BYTES);
      this.#message = message;
      this.#framed = framed;
    }
    return this.#framed;
  }
}

function writePrefix(to: Buffer, length: number): void {
  to.writeUInt8(0, 0);
  to.writeUInt32BE(length, 1);
}

/** What the sinks of many calls have in common. */
export interface SharedSinkParts {
  readonly framer: Framer;
  readonly unread: UnreadAnswers;
  readonly heartbeats: Heartbeats;
}

/** A message of no bytes, with its prefix. */
const EMPTY_MESSAGE = Buffer.alloc(PREFIX_BYTES);

/**
 * An open server-streaming call whose messages go straight to its HTTP/2 stream: all readers share one buffer, and what
 * is unsent is known in bytes. Headers and status still go through grpc-js.
 */
class StreamSink implements Sink {
  onDrain: () => void = () => {};
  #begun = false;
  #isOver = false;
  #heartbeat: Heartbeat | undefined;

  constructor(
    private readonly call: ServerWritableStream<Buffer, Buffer>,
    private readonly stream: ServerHttp2Stream,
    private readonly shared: SharedSinkParts,
  ) {
    stream.on("drain", () => this.onDrain());
  }

  heartbeat(intervalMs: number): void {
    const { stream } = this;
    const heartbeat = this.shared.heartbeats.of(intervalMs, () => {
      if (stream.writableLength === 0 && !stream.writableEnded) stream.write(EMPTY_MESSAGE);
    });
    this.#heartbeat = heartbeat;
    stream.once("close", () => heartbeat.stop());
  }

  write(message: Uint8Array): boolean {
    if (message.length >= LARGE_BYTES) return this.writeParts([message], message.length);
    return !this.#begin() || this.#hasRoom(this.stream.write(this.shared.framer.frame(message)));
  }

  writeParts(parts: readonly Uint8Array[], length: number): boolean {
    if (!this.#begin()) return true;
    const { stream } = this;
    const prefix = Buffer.allocUnsafe(PREFIX_BYTES);
    writePrefix(prefix, length);
    stream.cork();
    let taken = stream.write(prefix);
    for (const part of parts) taken = stream.write(part);
    stream.uncork();
    return this.#hasRoom(taken);
  }

  /** Sends the headers with the first message. False: the stream is over, and takes nothing. */
  #begin(): boolean {
    if (this.stream.destroyed || this.stream.closed) return false;
    if (this.stream.writableEnded) {
      // By grpc-js, as the call's deadline has passed: its status follows what the client has not read.
      this.#over();
      return false;
    }
    this.#heartbeat?.wrote();
    if (!this.#begun) {
      this.#begun = true;
      this.call.sendMetadata(new Metadata());
    }
    return true;
  }

  #hasRoom(taken: boolean): boolean {
    return taken || this.stream.writableLength <= MAX_UNSENT_BYTES;
  }

  /** The status follows all that was written: a client gets it once it has read that, and is reset if it does not. */
  end(error: PresenceError | undefined): void {
    endCall(this.call, error);
    this.#over();
  }

  abort(error: PresenceError): void {
    this.end(error);
  }

  #over(): void {
    if (this.#isOver) return;
    this.#isOver = true;
    this.#heartbeat?.stop();
    this.shared.unread.ended(this.stream);
  }
}

/**
 * The sink of a call: straight to the HTTP/2 stream below it where that is found, and by the call itself otherwise.
 */
export function sinkOf(
  call: ServerWritableStream<Buffer, Buffer>,
  shared: SharedSinkParts,
  cutConnection: () => void,
): Sink {
  const stream = http2StreamOf(call);
  return stream ? new StreamSink(call, stream, shared) : new CallSink(call, shared.heartbeats, cutConnection);
}
