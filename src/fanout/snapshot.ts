import type { ChannelCodec, Piece, StateBytes } from "./ports.js";

/** The largest SNAPSHOT event, in bytes (S15). */
export const MAX_CHUNK_BYTES = 256 * 1024;

/** Room in a chunk for all that is not a user: channel, position, time, counts. */
const ENVELOPE_BYTES = 1024;

/** Tag and length of one user in a chunk. */
const USER_OVERHEAD_BYTES = 5;

/** A snapshot of one channel at one revision, encoded once for all readers that get it. */
export class SharedSnapshot {
  readonly #chunks: Piece[] = [];

  constructor(
    codec: ChannelCodec,
    users: Iterable<StateBytes>,
    /** The channel's revision, which the snapshot includes. */
    readonly revision: number,
    occupancy: number,
    time: number,
  ) {
    let chunk: StateBytes[] = [];
    let bytes = ENVELOPE_BYTES;
    const close = (last: boolean): void => {
      this.#chunks.push(codec.snapshot({ users: chunk, revision, time, occupancy, last }));
      chunk = [];
      bytes = ENVELOPE_BYTES;
    };
    for (const user of users) {
      const more = user.length + USER_OVERHEAD_BYTES;
      if (bytes + more > MAX_CHUNK_BYTES) close(false);
      chunk.push(user);
      bytes += more;
    }
    close(true);
  }

  /** The chunk at `index`, counted from 0; `undefined` after the last. Each is a whole message by itself. */
  chunk(index: number): Piece | undefined {
    return this.#chunks[index];
  }
}
