import { CommanderError } from "commander";
import { PresenceError, type StatusName } from "../client/index.js";

/** What the process ends with, for scripts to act on. */
export const EXIT_CODES = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  notFound: 3,
  refused: 4,
  notAllowed: 5,
  unreachable: 6,
} as const;

/** The same for people, at the end of `--help`. */
export const EXIT_CODES_HELP = `
Exit codes:
  0  done
  1  something unexpected
  2  wrong usage, or an argument that the server does not accept
  3  not found: the user is not in the channel, the session does not exist
  4  refused: a limit, a rate, or --expect with another revision
  5  not allowed: not authenticated, or not permitted
  6  unreachable: no server, no answer in time, or a server going down`;

const BY_STATUS: Partial<Record<StatusName, number>> = {
  INVALID_ARGUMENT: EXIT_CODES.usage,
  NOT_FOUND: EXIT_CODES.notFound,
  FAILED_PRECONDITION: EXIT_CODES.refused,
  ABORTED: EXIT_CODES.refused,
  RESOURCE_EXHAUSTED: EXIT_CODES.refused,
  UNAUTHENTICATED: EXIT_CODES.notAllowed,
  PERMISSION_DENIED: EXIT_CODES.notAllowed,
  UNAVAILABLE: EXIT_CODES.unreachable,
  DEADLINE_EXCEEDED: EXIT_CODES.unreachable,
};

/** The exit code of a failure. */
export function exitCodeOf(error: unknown): number {
  if (error instanceof PresenceError) return BY_STATUS[error.code] ?? EXIT_CODES.unexpected;
  if (isTimeout(error)) return EXIT_CODES.unreachable;
  // commander ends `--help` and `--version` by an error too, whose code is 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODES.ok : EXIT_CODES.usage;
  return EXIT_CODES.unexpected;
}

/** Whether a call was given up because its time was over. */
export function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === "TimeoutError";
}
