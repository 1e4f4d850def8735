import type { Move } from "./lives.js";

/** The times between which a user had at least one session, attached or within its grace; `to` is absent while it has. */
export interface Stay {
  readonly userId: string;
  readonly to?: number;
}

/**
 * S1, S2 *First join, last leave*: each stay is one join and, once it is over, one leave or timeout, however many
 * sessions came and went in it. Each violation in a line; empty: none.
 */
export function lastLeave(stays: readonly Stay[], moves: readonly Move[]): string[] {
  const users = new Set([...stays, ...moves].map(({ userId }) => userId));
  return [...users].flatMap((userId) => {
    const own = stays.filter((stay) => stay.userId === userId);
    const joins = moves.filter((move) => move.userId === userId && move.kind === "join").length;
    const ends = moves.filter((move) => move.userId === userId && move.kind !== "join").length;
    const over = own.filter(({ to }) => to !== undefined).length;
    const lines: string[] = [];
    if (joins !== own.length) lines.push(`${userId}: ${joins} joins for ${own.length} stays`);
    if (ends !== over) lines.push(`${userId}: ${ends} leaves and timeouts for ${over} stays that ended`);
    return lines;
  });
}
