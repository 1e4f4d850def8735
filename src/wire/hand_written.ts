import { putVarint, varintSize } from "./varint.js";

/*
 * By hand, into memory that is used again and again: a generic writer makes a buffer for every nested message, which for
 * fifty thousand users are half a million for the garbage collector, and it takes four times as long.
 *
 * Each `put…` writes at a place that there is room for, and gives where the next byte goes; a message is done before the
 * next one begins.
 */

/** Grows to what is encoded at a time. What is given away is copied out of it. */
export let scratch = new Uint8Array(64 * 1024);
let scratchText = Buffer.from(scratch.buffer);

/** Up to this length a text of ASCII is faster to write here than by a call into the runtime. */
const SHORT_TEXT = 24;

/** A field below 16 of at most 2^31 - 1 bytes. */
export function putText(at: number, field: number, text: string): number {
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
export function putTime(at: number, field: number, ms: number): number {
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
export function putLarge(at: number, value: number): number {
  let rest = value;
  let next = at;
  for (; rest > 0x7fffffff; rest = Math.floor(rest / 128)) scratch[next++] = (rest % 128) | 0x80;
  return putVarint(scratch, next, rest);
}

/** Puts the length before a message that stands at `lengthAt + 1`: most are short, and a longer one makes way for it. */
export function closeField(lengthAt: number, end: number): number {
  const start = lengthAt + 1;
  const length = end - start;
  const more = varintSize(length) - 1;
  if (more > 0) scratch.copyWithin(start + more, start, end);
  putVarint(scratch, lengthAt, length);
  return end + more;
}

/** Sees to it that so many bytes may be written from there on. What stands before it stays. */
export function makeRoom(at: number, bytes: number): void {
  if (scratch.length - at >= bytes) return;
  const larger = new Uint8Array(2 * (at + bytes));
  larger.set(scratch.subarray(0, at));
  scratch = larger;
  scratchText = Buffer.from(larger.buffer);
}
