import type { Absence, Move } from "./lives.js";

/**
 * S4 *No flaps*: nobody hears anything of a user whose connection was away for less than its presence timeout. Each
 * violation in a line; empty: none. `untilMs`: how long after the absence its consequences may still show (the grace).
 */
export function noFlaps(absences: readonly Absence[], moves: readonly Move[], untilMs: number): string[] {
  return absences.flatMap(({ userId, from, to }) =>
    moves
      .filter((move) => move.userId === userId && move.at >= from && move.at <= to + untilMs)
      .map(
        ({ kind, at }) => `${userId}: a ${kind} was heard ${(at - from).toFixed(0)} ms after its connection was lost`,
      ),
  );
}
