import type { PresenceError } from "../model/errors.js";

/** An open stream on this server. */
export interface OpenStream {
  readonly attachment: number;
  /** Ends it: with OK, or with an error. */
  end(error: PresenceError | undefined): void;
}

/** The open streams of this server, by session. */
export class Streams {
  readonly #streams = new Map<string, OpenStream>();

  get size(): number {
    return this.#streams.size;
  }

  /** Remembers a stream. A session has one at a time: what was there is another attachment, and already over. */
  add(sessionId: string, stream: OpenStream): void {
    this.#streams.set(sessionId, stream);
  }

  /** Forgets a stream that has ended, unless another attachment took its place. */
  remove(sessionId: string, attachment: number): void {
    if (this.#streams.get(sessionId)?.attachment === attachment) this.#streams.delete(sessionId);
  }

  /** Ends one attachment's stream, if it is open and here. */
  end(sessionId: string, attachment: number, error: PresenceError | undefined): void {
    const stream = this.#streams.get(sessionId);
    if (stream?.attachment === attachment) {
      this.#streams.delete(sessionId);
      stream.end(error);
    }
  }

  /** Ends all streams, each with an error of its own. */
  endAll(error: () => PresenceError): void {
    const streams = [...this.#streams.values()];
    this.#streams.clear();
    for (const stream of streams) stream.end(error());
  }
}
