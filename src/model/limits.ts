import { PresenceError } from "./errors.js";
import { pairCount, type States } from "./user_state.js";

/** The bounds of what one user may keep here (S21). Each is a setting of the server. */
export interface Limits {
  /** Pairs in one user's state in one channel. Default 32. */
  readonly maxStatePairs: number;
  /** Bytes of UTF-8, keys and values together, of one user's state in one channel. Default 16384. */
  readonly maxStateBytes: number;
  /** Pairs waiting for a join, per user over all channels (S12). Default 100. */
  readonly maxPendingPairs: number;
  /** Channels where one user has an attached stream or a lease. It has sessions in twice as many at most. Default 100. */
  readonly maxChannelsPerUser: number;
  /** Sessions of one user in one channel, those that were lost and may come back included. Default 32. */
  readonly maxSessionsPerUser: number;
}

/** The limits of S21. */
export const DEFAULT_LIMITS: Limits = {
  maxStatePairs: 32,
  maxStateBytes: 16 * 1024,
  maxPendingPairs: 100,
  maxChannelsPerUser: 100,
  maxSessionsPerUser: 32,
};

/** The size of a state in bytes of UTF-8, keys and values together. */
export function stateBytes(states: States): number {
  let bytes = 0;
  for (const key of Object.keys(states)) bytes += utf8Length(key) + utf8Length(states[key]!);
  return bytes;
}

/** Refuses a whole state that is over a limit (S9: the merged map counts). */
export function checkWholeState(states: States, limits: Limits): void {
  const count = pairCount(states);
  if (count > limits.maxStatePairs) {
    throw new PresenceError(
      "STATE_COUNT_OVERFLOW",
      `the state would have ${count} pairs; ${limits.maxStatePairs} are allowed`,
      { metadata: { limit: String(limits.maxStatePairs), actual: String(count) } },
    );
  }
  const bytes = stateBytes(states);
  if (bytes > limits.maxStateBytes) {
    throw new PresenceError(
      "STATE_SIZE_OVERFLOW",
      `the state would take ${bytes} bytes; ${limits.maxStateBytes} are allowed`,
      { metadata: { limit: String(limits.maxStateBytes), actual: String(bytes) } },
    );
  }
}

/** Up to this length a loop is faster than a call into the runtime. */
const SHORT_TEXT = 32;

function utf8Length(text: string): number {
  if (text.length > SHORT_TEXT) return Buffer.byteLength(text);
  let bytes = 0;
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    // Each half of a surrogate pair counts two of the pair's four bytes.
    bytes += unit < 0x80 ? 1 : unit < 0x800 || (unit >= 0xd800 && unit <= 0xdfff) ? 2 : 3;
  }
  return bytes;
}
