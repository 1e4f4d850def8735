import type { Delta } from "../model/delta.js";
import { joinPieces, type Message } from "./messages.js";
import type { Piece } from "./ports.js";

/** Changes in order, each with its encoding; laid in messages once for all readers that get them. */
export class Announcement {
  #messages: readonly Message[] | undefined;

  constructor(
    readonly deltas: readonly Delta[],
    readonly pieces: readonly Piece[],
    /** Most bytes of several changes in one message. */
    readonly maxMessageBytes: number,
  ) {}

  get messages(): readonly Message[] {
    this.#messages ??= joinPieces(this.pieces, this.maxMessageBytes);
    return this.#messages;
  }

  /** Those of the changes for which `wanted` is true. */
  only(wanted: (delta: Delta) => boolean): Announcement {
    return new Announcement(
      this.deltas.filter(wanted),
      this.pieces.filter((_, i) => wanted(this.deltas[i]!)),
      this.maxMessageBytes,
    );
  }
}
