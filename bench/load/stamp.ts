/**
 * A stamp tells when a change was sent, in microseconds of this process's clock, as `@` and twelve digits. It travels
 * inside the state's value, and `@` stands nowhere else in what the bench sends.
 */
export const STAMP_LENGTH = 13;
/** A stamp to be overwritten. */
export const BLANK_STAMP = `@${"0".repeat(STAMP_LENGTH - 1)}`;
const AT = 0x40;
const ZERO = 0x30;

/** Microseconds since the process started. */
export function nowMicros(): number {
  return Math.floor(performance.now() * 1000);
}

/** The stamp for a moment. */
export function stampOf(micros: number): string {
  return `@${micros.toString().padStart(STAMP_LENGTH - 1, "0")}`;
}

/** Where the next stamp begins, or -1. A number in binary may look like the `@`, but no digit follows it. */
export function findStamp(bytes: Uint8Array, start: number, end: number): number {
  for (let at = start; at < end; at++) if (bytes[at] === AT && isDigit(bytes[at + 1]!)) return at;
  return -1;
}

function isDigit(byte: number): boolean {
  return byte >= ZERO && byte <= ZERO + 9;
}

/** The moment that the stamp at `at` names. */
export function readStamp(bytes: Uint8Array, at: number): number {
  let micros = 0;
  for (let i = at + 1; i < at + STAMP_LENGTH; i++) micros = micros * 10 + bytes[i]! - ZERO;
  return micros;
}
