import { FieldScanner } from "./event_scanner.js";
import { findStamp, readStamp } from "./stamp.js";

/** The field of an INTERVAL with the states that changed. */
const CHANGED = 4;

const fields = new FieldScanner();

/**
 * The stamps of the states in an INTERVAL. All readers of a channel are in this one process and get the same bytes, so
 * bytes that equal the last ones are compared and not read again: else the readers, and not the server, would be what is measured.
 */
export class IntervalStamps {
  #body = Buffer.alloc(0);
  #stamps: readonly number[] = [];

  /** Of the body between `start` and `end`. */
  of(bytes: Buffer, start: number, end: number): readonly number[] {
    if (this.#body.compare(bytes, start, end) === 0) return this.#stamps;
    this.#body = Buffer.from(bytes.subarray(start, end));
    const stamps: number[] = [];
    fields.enter(bytes, start, end);
    for (let number = fields.field(); number !== 0; number = fields.field()) {
      if (number === CHANGED) stamps.push(readStamp(bytes, findStamp(bytes, fields.start, fields.end)));
    }
    this.#stamps = stamps;
    return stamps;
  }
}
