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

/** How many bytes the elements of a repeated field below 16 take, each with its tag and its length. */
export function repeatedSize(elements: readonly Uint8Array[]): number {
  let size = 0;
  for (const { length } of elements) size += 1 + varintSize(length) + length;
  return size;
}

/** Writes the elements of a repeated field below 16, one after the other, and gives where the next byte goes. */
export function putRepeated(to: Uint8Array, at: number, field: number, elements: readonly Uint8Array[]): number {
  const tag = (field << 3) | 2;
  let next = at;
  for (const element of elements) {
    to[next++] = tag;
    next = putVarint(to, next, element.length);
    to.set(element, next);
    next += element.length;
  }
  return next;
}
