import { constants, type ServerHttp2Stream } from "node:http2";
import type { ServerWritableStream } from "@grpc/grpc-js";
import type { Sink } from "../fanout/ports.js";
import type { PresenceError } from "../model/errors.js";
import { toServiceError } from "./status.js";

/**
 * Most bytes that are handed to grpc-js before a reader counts as slow. grpc-js itself counts messages (16), which
 * says nothing of their size.
 */
const MAX_UNSENT_BYTES = 128 * 1024;

/** One open server-streaming call, as the fan-out sees it. */
export class CallSink implements Sink {
  onDrain: () => void = () => {};
  #unsent = 0;

  constructor(
    private readonly call: ServerWritableStream<Buffer, Buffer>,
    /** Cuts the connection: the last resort where the stream alone cannot be ended. */
    private readonly cutConnection: () => void,
  ) {
    call.on("drain", () => this.onDrain());
  }

  write(message: Uint8Array): boolean {
    const { call } = this;
    const buffer = Buffer.isBuffer(message) ? message : Buffer.from(message.buffer, message.byteOffset, message.length);
    if (call.writableLength === 0) this.#unsent = 0;
    this.#unsent += buffer.length;
    if (this.#unsent <= MAX_UNSENT_BYTES) return call.write(buffer);
    call.write(buffer, () => this.onDrain());
    return false;
  }

  end(error: PresenceError | undefined): void {
    if (error) this.call.emit("error", toServiceError(error));
    else this.call.end();
  }

  /**
   * grpc-js sends a status only after all that was written, which a client that reads nothing never takes; so the
   * HTTP/2 stream below is reset. It has no public name; where it is not to be found, the connection is cut.
   */
  abort(error: PresenceError): void {
    this.end(error);
    const { stream } = (this.call as unknown as { call?: { stream?: Partial<ServerHttp2Stream> } }).call ?? {};
    if (typeof stream?.close === "function") stream.close(constants.NGHTTP2_CANCEL);
    else this.cutConnection();
  }
}
