import type { Ending, Move } from "./lives.js";

/**
 * S3, S5 *No ghosts*: whoever ended without a leave is timed out, once, no later than `boundMs` after that: keepalive,
 * answer and presence timeout together. Each violation in a line; empty: none.
 */
export function noGhosts(endings: readonly Ending[], moves: readonly Move[], boundMs: number): string[] {
  return endings.flatMap(({ userId, at }) => {
    const timeouts = moves.filter((move) => move.userId === userId && move.kind === "timeout" && move.at >= at);
    const first = timeouts[0];
    if (!first) return [`${userId} ended and is still there`];
    const after = first.at - at;
    if (after > boundMs)
      return [`${userId} was timed out ${after.toFixed(0)} ms after its end; ${boundMs} are allowed`];
    const back = moves.find((move) => move.userId === userId && move.kind === "join" && move.at > first.at);
    const again = timeouts[1];
    return again && (!back || back.at > again.at) ? [`${userId} was timed out twice`] : [];
  });
}
