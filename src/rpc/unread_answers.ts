import { constants, type Http2Session, type ServerHttp2Stream } from "node:http2";
import type { handleUnaryCall } from "@grpc/grpc-js";
import { PresenceError } from "../model/errors.js";
import type { Clock, Timer } from "../time/clock.js";
import { type AnyCall, http2StreamOf } from "./transport_internals.js";

/** Bounds of what is sent and not yet read. */
export interface UnreadAnswersOptions {
  readonly clock: Clock;
  /** How long a client may take to read what a call ended with, in ms; then its stream is reset. Default 60000. */
  readonly timeoutMs: number;
  /** Bytes of all unread answers together; beyond it the streams of the oldest are reset. Default 64 MiB. */
  readonly maxBytes: number;
}

/** Unread bytes of one connection beyond which its further unary calls wait. */
const CONNECTION_BYTES = 4 * 1024 * 1024;

/** What is reserved for the answer of a call that is being carried out, in bytes. */
const RESERVED_BYTES = 16 * 1024;

const UNREAD = new PresenceError("RATE_LIMITED", "the answers to earlier calls are not read; read them, then retry", {
  retryAfterMs: 1000,
});

interface Connection {
  /** Of its unread unary answers, and reserved for those to come. */
  bytes: number;
  /** In the order in which they came. */
  readonly waiting: Set<Waiting>;
  /** Those for which there is room are started later in this turn of the event loop. */
  isStarting: boolean;
}

interface Waiting {
  start(): void;
}

/** A unary call, from its start until its client has read the answer. One object for each call: there are very many. */
export interface Turn {
  readonly stream: ServerHttp2Stream;
  readonly connection: Connection;
  /** To be awaited before the call is carried out; undefined: there is room. Rejects where the call is over. */
  readonly room: Promise<void> | undefined;
}

/** What is sent and not read: of a unary call, or of a stream that has ended. */
interface Unread {
  readonly stream: ServerHttp2Stream;
  /** Undefined for a stream that has ended: its bytes do not keep calls of its connection waiting. */
  readonly connection: Connection | undefined;
  readonly since: number;
  readonly bytes: number;
}

/**
 * What clients have not read of calls that are over for the server. HTTP/2 lets a client take as little as it likes, and
 * as slowly: a stream stays open, with its bytes, until all of it is read.
 *
 * Unary calls of a connection with many unread bytes wait until it reads; so a client that pipelines many calls is never
 * refused for that. A stream whose end is not read in time is reset.
 */
export class UnreadAnswers {
  /** The oldest first. */
  readonly #unread = new Set<Unread>();
  readonly #connections = new WeakMap<Http2Session, Connection>();
  #bytes = 0;
  #timer: Timer | undefined;

  constructor(private readonly options: UnreadAnswersOptions) {}

  /** Bytes of answers that are not read, and of requests that wait for that. */
  get bytes(): number {
    return this.#bytes;
  }

  /** Begins a unary call. Throws RATE_LIMITED where it would have to wait, and too much does already. */
  begin(call: AnyCall): Turn | undefined {
    const stream = http2StreamOf(call);
    // A stream that is over has none.
    const session = stream?.session;
    if (!session) return undefined;
    let connection = this.#connections.get(session);
    if (!connection) {
      connection = { bytes: 0, waiting: new Set(), isStarting: false };
      this.#connections.set(session, connection);
    }
    const room = this.#hasRoom(connection) ? undefined : this.#wait(connection, stream, call.request.length);
    if (!room) connection.bytes += RESERVED_BYTES;
    return { stream, connection, room };
  }

  /** A call that has begun is about to be answered with `bytes` bytes; 0 where it is refused. */
  answered({ stream, connection }: Turn, bytes: number): void {
    connection.bytes -= RESERVED_BYTES;
    if (bytes > 0) this.#add(stream, bytes, connection);
    this.#startNext(connection);
  }

  /** The same handler of unary calls whose answers are small: they are reset where they are not read in time. */
  watching(handler: handleUnaryCall<Buffer, Buffer>): handleUnaryCall<Buffer, Buffer> {
    return (call, callback) => {
      handler(call, (error, response, ...more) => {
        callback(error, response, ...more);
        const stream = response && http2StreamOf(call);
        if (stream) this.#add(stream, response.length, undefined);
      });
    };
  }

  /** A streaming call has ended for the server, with what is unsent. */
  ended(stream: ServerHttp2Stream): void {
    this.#add(stream, stream.writableLength, undefined);
  }

  /** Stops watching. */
  close(): void {
    this.#timer?.cancel();
    this.#unread.clear();
  }

  #hasRoom({ bytes, waiting }: Connection): boolean {
    return waiting.size === 0 && bytes < CONNECTION_BYTES;
  }

  #wait(connection: Connection, stream: ServerHttp2Stream, bytes: number): Promise<void> {
    if (this.#bytes + bytes > this.options.maxBytes) throw UNREAD;
    this.#bytes += bytes;
    return new Promise((resolve, reject) => {
      const leave = (): void => {
        connection.waiting.delete(waiting);
        this.#bytes -= bytes;
        stream.off("close", gone);
      };
      const gone = (): void => {
        leave();
        reject(UNREAD);
      };
      const waiting = {
        start: () => {
          leave();
          connection.bytes += RESERVED_BYTES;
          resolve();
        },
      };
      connection.waiting.add(waiting);
      stream.once("close", gone);
    });
  }

  /**
   * Starts the calls for which there is room, after what has arrived was read: a client that cancels its calls, or goes,
   * makes room with the first of them, and the others are not to be carried out.
   */
  #startNext(connection: Connection): void {
    const { waiting } = connection;
    if (waiting.size === 0 || connection.isStarting) return;
    connection.isStarting = true;
    setImmediate(() => {
      connection.isStarting = false;
      for (const next of waiting) {
        if (connection.bytes >= CONNECTION_BYTES) return;
        next.start();
      }
    });
  }

  #add(stream: ServerHttp2Stream, bytes: number, connection: Connection | undefined): void {
    if (stream.destroyed) return;
    const { clock, timeoutMs, maxBytes } = this.options;
    const unread: Unread = { stream, connection, since: clock.now().tick, bytes };
    this.#unread.add(unread);
    this.#bytes += bytes;
    if (connection) connection.bytes += bytes;
    this.#timer ??= clock.setTimer(timeoutMs, () => this.#resetLate());
    // It is emitted once; `once` would make another closure for each call.
    stream.on("close", () => this.#closed(unread));
    if (this.#bytes > maxBytes) this.#resetOldest();
  }

  #closed(unread: Unread): void {
    const { bytes, connection } = unread;
    if (this.#unread.delete(unread)) this.#bytes -= bytes;
    if (!connection) return;
    connection.bytes -= bytes;
    this.#startNext(connection);
  }

  #reset(unread: Unread): void {
    this.#unread.delete(unread);
    this.#bytes -= unread.bytes;
    unread.stream.close(constants.NGHTTP2_CANCEL);
  }

  #resetOldest(): void {
    for (const unread of this.#unread) {
      if (this.#bytes <= this.options.maxBytes) return;
      if (unread.bytes > 0) this.#reset(unread);
    }
  }

  #resetLate(): void {
    const { clock, timeoutMs } = this.options;
    const now = clock.now().tick;
    this.#timer = undefined;
    for (const unread of this.#unread) {
      const leftMs = unread.since + timeoutMs - now;
      if (leftMs > 0) {
        this.#timer = clock.setTimer(leftMs, () => this.#resetLate());
        return;
      }
      this.#reset(unread);
    }
  }
}
