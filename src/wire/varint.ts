/** How many bytes a number takes as a varint; whole, from 0 to 2^31 - 1. */
export function varintSize(value: number): number {
  let size = 1;
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) size += 1;
  return size;
}

/** Writes a varint, and gives where the next byte goes. */
export function putVarint(to: Uint8Array, at: number, value: number): number {
  let rest = value;
  let next = at;
  for (; rest > 0x7f; rest >>>= 7) to[next++] = (rest & 0x7f) | 0x80;
  to[next++] = rest;
  return next;
}
