import { BinaryWriter } from "@bufbuild/protobuf/wire";

/**
 * A writer that is used again and again: its buffer has grown to the size of what is written, which saves two or three
 * allocations for each message. Not to be used while it is in use.
 */
export class Scratch {
  readonly #writer = new BinaryWriter();

  /** The bytes that `write` writes, in memory of their own. */
  encode(write: (writer: BinaryWriter) => void): Uint8Array {
    try {
      write(this.#writer);
    } catch (error) {
      // What was written of it must not begin the next message.
      this.#writer.finish();
      throw error;
    }
    return this.#writer.finish();
  }
}
