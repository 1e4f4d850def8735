import type { ServerWritableStream } from "@grpc/grpc-js";
import type { Heartbeat, Heartbeats } from "../fanout/heartbeats.js";
import type { Sink } from "../fanout/ports.js";
import type { PresenceError } from "../model/errors.js";
import { toServiceError } from "./status.js";

/** Most bytes that are handed to the transport before a reader counts as slow. */
export const MAX_UNSENT_BYTES = 128 * 1024;

const EMPTY = Buffer.alloc(0);

/** An open server-streaming call as the fan-out sees it, through what grpc-js offers in public. */
export class CallSink implements Sink {
  onDrain: () => void = () => {};
  #unsent = 0;
  #heartbeat: Heartbeat | undefined;

  constructor(
    private readonly call: ServerWritableStream<Buffer, Buffer>,
    private readonly heartbeats: Heartbeats,
    /** Cuts the connection: the only way to end a stream that takes nothing. */
    private readonly cutConnection: () => void,
  ) {
    call.on("drain", () => this.onDrain());
  }

  heartbeat(intervalMs: number): void {
    const { call } = this;
    const heartbeat = this.heartbeats.of(intervalMs, () => {
      if (call.writableLength === 0) call.write(EMPTY);
    });
    this.#heartbeat = heartbeat;
    call.once("cancelled", () => heartbeat.stop());
  }

  /** grpc-js itself counts messages (16), which says nothing of their size. */
  write(message: Uint8Array): boolean {
    const { call } = this;
    const buffer = Buffer.isBuffer(message) ? message : Buffer.from(message.buffer, message.byteOffset, message.length);
    this.#heartbeat?.wrote();
    if (call.writableLength === 0) this.#unsent = 0;
    this.#unsent += buffer.length;
    if (this.#unsent <= MAX_UNSENT_BYTES) return call.write(buffer);
    call.write(buffer, () => this.onDrain());
    return false;
  }

  writeParts(parts: readonly Uint8Array[], length: number): boolean {
    return this.write(Buffer.concat(parts, length));
  }

  end(error: PresenceError | undefined): void {
    this.#heartbeat?.stop();
    endCall(this.call, error);
  }

  abort(error: PresenceError): void {
    this.end(error);
    this.cutConnection();
  }
}

/** Ends a call after what was written to it: with OK, or with an error. */
export function endCall(call: ServerWritableStream<Buffer, Buffer>, error: PresenceError | undefined): void {
  if (error) call.emit("error", toServiceError(error));
  else call.end();
}
