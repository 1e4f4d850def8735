import { EVENT, EventScanner, FieldScanner } from "./event_scanner.js";
import type { StreamListener } from "./h2_connection.js";

const ZERO = 0x30;
const messageFields = new FieldScanner();
const bodyFields = new FieldScanner();
const userFields = new FieldScanner();
const event = new EventScanner();

/** What a {@link ViewReader} tells its owner. */
export interface ViewOwner {
  /** The server has taken the session in. */
  subscribed(): void;
  /** The number of users that a view holds has changed. */
  viewChanged(view: ViewReader): void;
  fault(text: string): void;
}

/** A stream that keeps the list of who is present, as an application would: a snapshot, and what changed since. */
export class ViewReader implements StreamListener {
  /** How many users the view holds. */
  size = 0;
  readonly #holds: Uint8Array;
  #snapshotOpen = false;

  /** Users are named `u0`, `u1`, …; `most` is how many there may be. */
  constructor(
    private readonly owner: ViewOwner,
    private readonly name: string,
    most: number,
  ) {
    this.#holds = new Uint8Array(most);
  }

  message(bytes: Buffer, start: number, end: number): void {
    const before = this.size;
    const fields = messageFields.enter(bytes, start, end);
    while (fields.field() !== 0) {
      event.read(bytes, fields.start, fields.end);
      this.#apply(bytes);
    }
    if (this.size !== before) this.owner.viewChanged(this);
  }

  ended(reason: string): void {
    this.owner.fault(`the stream of ${this.name} ${reason}`);
  }

  #apply(bytes: Buffer): void {
    switch (event.kind) {
      case EVENT.subscribed:
        this.owner.subscribed();
        return;
      case EVENT.snapshot:
        this.#snapshot(bytes);
        return;
      case EVENT.remoteJoin:
        if (!this.#put(bytes, event.userStart, event.userEnd, 1)) this.owner.fault(`${this.name} heard a join twice`);
        return;
      case EVENT.remoteLeave:
      case EVENT.remoteTimeout:
        this.#put(bytes, event.userStart, event.userEnd, 0);
        return;
      case EVENT.interval:
        this.#interval(bytes);
        return;
    }
  }

  #snapshot(bytes: Buffer): void {
    if (!this.#snapshotOpen) {
      this.#holds.fill(0);
      this.size = 0;
    }
    this.#snapshotOpen = true;
    const fields = bodyFields.enter(bytes, event.bodyStart, event.bodyEnd);
    for (let number = fields.field(); number !== 0; number = fields.field()) {
      if (number === 2 && fields.value === 1) this.#snapshotOpen = false;
      if (number !== 1) continue;
      const user = userFields.enter(bytes, fields.start, fields.end);
      for (let inner = user.field(); inner !== 0; inner = user.field()) {
        if (inner === 1) this.#put(bytes, user.start, user.end, 1);
      }
    }
  }

  #interval(bytes: Buffer): void {
    const fields = bodyFields.enter(bytes, event.bodyStart, event.bodyEnd);
    for (let number = fields.field(); number !== 0; number = fields.field()) {
      if (number === 1) this.#put(bytes, fields.start, fields.end, 1);
      if (number === 2 || number === 3) this.#put(bytes, fields.start, fields.end, 0);
    }
  }

  /** Adds or removes a user; false when it was so already. */
  #put(bytes: Buffer, start: number, end: number, present: 0 | 1): boolean {
    let user = 0;
    for (let at = start + 1; at < end; at++) user = user * 10 + bytes[at]! - ZERO;
    if (this.#holds[user] === present) return false;
    this.#holds[user] = present;
    this.size += present === 1 ? 1 : -1;
    return true;
  }
}
