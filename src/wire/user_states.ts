import type { SnapshotUser, StateBytes } from "../fanout/ports.js";
import type { UserState } from "../model/user_state.js";
import { putVarint, varintSize } from "./varint.js";

/*
 * By hand, into memory that is used again and again: a generic writer makes a buffer for every nested message, which for
 * fifty thousand users are half a million for the garbage collector, and it takes four times as long.
 */

/** Grows to what is encoded at a time. What is given away is copied out of it. */
let scratch = new Uint8Array(64 * 1024);
let scratchText = Buffer.from(scratch.buffer);

/** Up to this length a text of ASCII is faster to write here than by a call into the runtime. */
const SHORT_TEXT = 24;

/** `users` of a snapshot, with its tag. */
const USERS_TAG = (1 << 3) | 2;

/** The body of a `UserState` message. */
export function encodeUserState(state: UserState): StateBytes {
  const end = putUserState(0, state);
  return scratch.slice(0, end);
}

/**
 * `repeated UserState users` of a snapshot: users side by side, each with its tag and its length, in parts of at most
 * `maxBytes`, or of one user.
 */
export function encodeUsers(users: readonly SnapshotUser[], maxBytes: number): readonly Uint8Array[] {
  const parts: Uint8Array[] = [];
  let end = 0;
  for (const user of users) {
    const next = putUser(end, user);
    if (next <= maxBytes || end === 0) {
      end = next;
      continue;
    }
    parts.push(copied(end));
    scratch.copyWithin(0, end, next);
    end = next - end;
  }
  if (end > 0) parts.push(copied(end));
  return parts;
}

function copied(length: number): Uint8Array {
  // Not from Node's pool: what waits for a slow reader would hold on to a whole slab of it.
  const part = Buffer.allocUnsafeSlow(length);
  part.set(scratch.subarray(0, length));
  return part;
}

function putUser(at: number, { state, bytes }: SnapshotUser): number {
  if (!bytes) {
    makeRoom(at, 16);
    scratch[at] = USERS_TAG;
    return closeField(at + 1, putUserState(at + 2, state));
  }
  makeRoom(at, bytes.length + 16);
  scratch[at] = USERS_TAG;
  const body = putVarint(scratch, at + 1, bytes.length);
  scratch.set(bytes, body);
  return body + bytes.length;
}

/** Each of these writes at `at`, and gives where the next byte goes. */
function putUserState(at: number, { userId, states, revision, updateTime, joinTime }: UserState): number {
  const keys = Object.keys(states);
  let room = 128 + 3 * userId.length;
  for (const key of keys) room += 32 + 3 * (key.length + states[key]!.length);
  makeRoom(at, room);
  let next = userId === "" ? at : putText(at, 1, userId);
  for (const key of keys) {
    scratch[next] = (2 << 3) | 2;
    next = closeField(next + 1, putText(putText(next + 2, 1, key), 2, states[key]!));
  }
  if (revision !== 0) {
    scratch[next] = 3 << 3;
    next = putLarge(next + 1, revision);
  }
  if (updateTime !== undefined) next = putTime(next, 4, updateTime);
  if (joinTime !== undefined) next = putTime(next, 5, joinTime);
  return next;
}

/** A field below 16 of at most 2^31 - 1 bytes. */
function putText(at: number, field: number, text: string): number {
  scratch[at] = (field << 3) | 2;
  if (!isAscii(text)) {
    const start = putVarint(scratch, at + 1, Buffer.byteLength(text));
    return start + scratchText.write(text, start, "utf8");
  }
  const { length } = text;
  const start = putVarint(scratch, at + 1, length);
  if (length > SHORT_TEXT) return start + scratchText.write(text, start, "latin1");
  for (let i = 0; i < length; i++) scratch[start + i] = text.charCodeAt(i);
  return start + length;
}

function isAscii(text: string): boolean {
  for (let i = 0; i < text.length; i++) if (text.charCodeAt(i) > 0x7f) return false;
  return true;
}

/** A Timestamp, from ms since 1970. */
function putTime(at: number, field: number, ms: number): number {
  const seconds = Math.floor(ms / 1000);
  const nanos = Math.round((ms - seconds * 1000) * 1e6);
  scratch[at] = (field << 3) | 2;
  let next = at + 2;
  if (seconds !== 0) {
    scratch[next] = 1 << 3;
    next = putLarge(next + 1, seconds);
  }
  if (nanos !== 0) {
    scratch[next] = 2 << 3;
    next = putVarint(scratch, next + 1, nanos);
  }
  return closeField(at + 1, next);
}

/** A varint of a whole number from 0 to 2^53 - 1. */
function putLarge(at: number, value: number): number {
  let rest = value;
  let next = at;
  for (; rest > 0x7fffffff; rest = Math.floor(rest / 128)) scratch[next++] = (rest % 128) | 0x80;
  return putVarint(scratch, next, rest);
}

/** Puts the length before a message that stands at `lengthAt + 1`: most are short, and a longer one makes way for it. */
function closeField(lengthAt: number, end: number): number {
  const start = lengthAt + 1;
  const length = end - start;
  const more = varintSize(length) - 1;
  if (more > 0) scratch.copyWithin(start + more, start, end);
  putVarint(scratch, lengthAt, length);
  return end + more;
}

function makeRoom(at: number, bytes: number): void {
  if (scratch.length - at >= bytes) return;
  const larger = new Uint8Array(2 * (at + bytes));
  larger.set(scratch.subarray(0, at));
  scratch = larger;
  scratchText = Buffer.from(larger.buffer);
}
