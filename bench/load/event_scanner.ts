/** The numbers of the fields of `PresenceEvent` that say what happened. */
export const EVENT = {
  subscribed: 10,
  snapshot: 11,
  interval: 12,
  remoteJoin: 13,
  remoteLeave: 14,
  remoteTimeout: 15,
  remoteStateChanged: 16,
} as const;

/**
 * Finds its way through encoded messages without building objects: decoding them would make the readers dearer than
 * the server. Call {@link field} until it returns 0; {@link start} and {@link end} then frame the field's bytes.
 */
export class FieldScanner {
  start = 0;
  end = 0;
  value = 0;
  #bytes: Uint8Array = new Uint8Array();
  #at = 0;
  #limit = 0;

  /** Looks at a message that lies between `start` and `end`. */
  enter(bytes: Uint8Array, start: number, end: number): this {
    this.#bytes = bytes;
    this.#at = start;
    this.#limit = end;
    return this;
  }

  /** The number of the next field, or 0 at the end. */
  field(): number {
    if (this.#at >= this.#limit) return 0;
    const tag = this.#varint();
    switch (tag & 7) {
      case 0:
        this.value = this.#varint();
        break;
      case 2: {
        const length = this.#varint();
        this.start = this.#at;
        this.end = this.#at + length;
        this.#at = this.end;
        break;
      }
      default:
        throw new Error(`wire type ${tag & 7} is not expected here`);
    }
    return tag >>> 3;
  }

  #varint(): number {
    let byte = this.#bytes[this.#at++]!;
    if (byte < 0x80) return byte;
    let value = byte & 0x7f;
    let factor = 0x80;
    do {
      byte = this.#bytes[this.#at++]!;
      value += (byte & 0x7f) * factor;
      factor *= 0x80;
    } while (byte >= 0x80);
    return value;
  }
}

/** Reads one encoded `PresenceEvent`: what kind it is, where its body lies, and its revision. */
export class EventScanner {
  /** Number of the oneof field that is set. */
  kind = 0;
  revision = 0;
  /** The body of the oneof field. */
  bodyStart = 0;
  bodyEnd = 0;
  /** The bytes of `user_id`. */
  userStart = 0;
  userEnd = 0;
  readonly #fields = new FieldScanner();
  readonly #position = new FieldScanner();

  /** Reads the event between `start` and `end`. */
  read(bytes: Uint8Array, start: number, end: number): void {
    const fields = this.#fields.enter(bytes, start, end);
    this.kind = 0;
    this.revision = 0;
    for (let number = fields.field(); number !== 0; number = fields.field()) {
      if (number === 2) {
        const position = this.#position.enter(bytes, fields.start, fields.end);
        for (let inner = position.field(); inner !== 0; inner = position.field()) {
          if (inner === 2) this.revision = position.value;
        }
      } else if (number === 4) {
        this.userStart = fields.start;
        this.userEnd = fields.end;
      } else if (number >= 10) {
        this.kind = number;
        this.bodyStart = fields.start;
        this.bodyEnd = fields.end;
      }
    }
  }
}
