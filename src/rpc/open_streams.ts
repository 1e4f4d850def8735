import { type ServerDuplexStream, type ServerWritableStream, status } from "@grpc/grpc-js";
import { serviceError } from "./status.js";

/** A call whose response is a stream. */
type StreamingCall = ServerWritableStream<Buffer, Buffer> | ServerDuplexStream<Buffer, Buffer>;

/** How many streams may be open at once. */
export interface OpenStreamsLimits {
  /** The method, as an error message names it. */
  readonly method: string;
  /** On one connection. */
  readonly perConnection: number;
  /**
   * On all connections together. At this number a connection that has none may still open one, so that a few clients
   * cannot keep the others out.
   */
  readonly inAll: number;
}

/** Bounds the open streams of a method that anybody may call without a token. */
export class OpenStreams {
  readonly #byPeer = new Map<string, number>();
  #count = 0;

  constructor(private readonly limits: OpenStreamsLimits) {}

  /** Counts the stream until it ends. False: there are too many, and the call was ended with RESOURCE_EXHAUSTED. */
  admit(call: StreamingCall): boolean {
    const { method, perConnection, inAll } = this.limits;
    const peer = call.getPeer();
    const open = this.#byPeer.get(peer) ?? 0;
    if (open >= perConnection) return refuse(call, `at most ${perConnection} ${method} streams per connection`);
    if (open > 0 && this.#count >= inAll) {
      return refuse(call, `${inAll} ${method} streams are open; until some end, at most 1 per connection`);
    }
    this.#byPeer.set(peer, open + 1);
    this.#count++;
    // grpc-js emits it at the end of every call, whichever side ended it.
    call.once("cancelled", () => {
      this.#count--;
      const left = this.#byPeer.get(peer)! - 1;
      if (left === 0) this.#byPeer.delete(peer);
      else this.#byPeer.set(peer, left);
    });
    return true;
  }
}

function refuse(call: StreamingCall, details: string): false {
  call.emit("error", serviceError(status.RESOURCE_EXHAUSTED, details));
  return false;
}
