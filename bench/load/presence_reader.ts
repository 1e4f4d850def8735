import { EVENT, EventScanner, FieldScanner } from "./event_scanner.js";
import type { StreamListener } from "./h2_connection.js";
import { IntervalStamps } from "./interval_stamps.js";
import { findStamp, readStamp } from "./stamp.js";
import type { Tally } from "./tally.js";

const messageFields = new FieldScanner();
const bodyFields = new FieldScanner();
const event = new EventScanner();
const stamps = new IntervalStamps();

/**
 * One SubscribePresence stream of the fan-out shapes. Counts the changes that come and checks, event by event, that
 * the revision goes up by exactly one, so that a lost, doubled or misplaced event cannot hide in the sum.
 */
export class PresenceReader implements StreamListener {
  /** Changes heard so far. */
  changes = 0;
  revision = 0;
  #ready = false;
  readonly #becameReady: () => void;

  constructor(
    private readonly tally: Tally,
    private readonly name: string,
    /** Whether a snapshot will come. */
    private readonly hears: boolean,
    /** Whether revisions may be missing: those of one's own changes. */
    private readonly mayMiss: boolean,
    becameReady: () => void,
    /** Whether INTERVAL events may come; each state in one counts as a change. */
    private readonly mayGetIntervals = false,
  ) {
    this.#becameReady = becameReady;
  }

  message(bytes: Buffer, start: number, end: number): void {
    this.tally.messages++;
    const fields = messageFields.enter(bytes, start, end);
    while (fields.field() !== 0) {
      event.read(bytes, fields.start, fields.end);
      if (event.kind === EVENT.remoteStateChanged) this.#change(bytes);
      else if (event.kind === EVENT.interval && this.mayGetIntervals) this.#interval(bytes);
      else this.#other(bytes);
    }
  }

  ended(reason: string): void {
    this.tally.fault(`the stream of ${this.name} ${reason}`);
  }

  #change(bytes: Buffer): void {
    const next = this.revision + 1;
    if (this.mayMiss ? event.revision < next : event.revision !== next) {
      this.tally.fault(`${this.name} got revision ${event.revision} after ${this.revision}`);
    }
    this.revision = event.revision;
    this.changes++;
    this.tally.deliver(readStamp(bytes, findStamp(bytes, event.bodyStart, event.bodyEnd)));
  }

  #interval(bytes: Buffer): void {
    if (event.revision <= this.revision) {
      this.tally.fault(`${this.name} got an INTERVAL at revision ${event.revision} after ${this.revision}`);
    }
    this.revision = event.revision;
    const changes = stamps.of(bytes, event.bodyStart, event.bodyEnd);
    this.changes += changes.length;
    this.tally.deliverAll(changes);
  }

  #other(bytes: Buffer): void {
    if (event.kind === EVENT.interval) this.tally.fault(`${this.name} got an INTERVAL instead of single events`);
    this.revision = event.revision;
    const complete = this.hears
      ? event.kind === EVENT.snapshot && isLast(bytes, event.bodyStart, event.bodyEnd)
      : event.kind === EVENT.subscribed;
    if (!complete) return;
    if (this.#ready) this.tally.resyncs++;
    this.#ready = true;
    this.#becameReady();
  }
}

function isLast(bytes: Buffer, start: number, end: number): boolean {
  const fields = bodyFields.enter(bytes, start, end);
  for (let number = fields.field(); number !== 0; number = fields.field()) {
    if (number === 2) return fields.value === 1;
  }
  return false;
}
