import type { Clock } from "../time/clock.js";

const ZERO_TIME = Date.UTC(2020, 0, 1);

/** More than any channel, or all pending states together, can change in a millisecond for long. */
const PER_MS = 64;

/**
 * Returns numbers that no revision has had: 64 for each millisecond since 2020, plus a random number below 64, and at
 * least `above` + 1. About 1.4e13 in 2026.
 *
 * A caller that passes the highest revision so far gets numbers that do not repeat, even when the wall clock goes back. A
 * later process starts above them, because revisions are used up more slowly than 64 per millisecond. Only if the wall
 * clock was set back before it started can it give a state the number that another state of the same user had: a
 * channel that changed n times has used the numbers of n/64 ms, and one of those has to be met again.
 *
 * The numbers stay below 2^52 until the year 4250, and below 1e14, from which on Lua prints exponents, until 2069.
 */
export function revisionsByTime(clock: Clock, random: () => number = Math.random): (above: number) => number {
  return (above) => {
    const ms = Math.floor(clock.now().wall) - ZERO_TIME;
    return Math.max(PER_MS * ms + Math.floor(PER_MS * random()), above + 1);
  };
}
