import { CommanderError } from "commander";
import { PresenceError, type StatusName } from "../client/index.js";

/** The exit code of each outcome. */
export const EXIT_CODES = {
  ok: 0,
  unexpected: 1,
  usage: 2,
  notFound: 3,
  refused: 4,
  notAllowed: 5,
  unreachable: 6,
  output: 7,
  ended: 8,
  interrupted: 130,
} as const;

/** What each exit code means, for `--help` and the documents. */
export const EXIT_CODE_MEANINGS: Readonly<Record<keyof typeof EXIT_CODES, string>> = {
  ok: "done; watch, feed and load: left at Ctrl-C, SIGTERM or SIGHUP",
  unexpected: "internal error, of the server or of this program",
  usage: "wrong usage, or an argument that the server does not accept",
  notFound: "not found: the user is not in the channel, the session does not exist",
  refused: "refused: a limit, a rate, or --expect with another revision",
  notAllowed: "not allowed: not authenticated, not permitted, or the token has expired",
  unreachable: "unreachable: no server, no answer in time, or the server shuts down",
  output: "standard output cannot be written, as on a full disk; a closed pipe counts as done",
  ended: "ended elsewhere: by LeaveChannel, or by the user's return in another process",
  interrupted: "a second Ctrl-C or SIGTERM ended the command before it was done",
};

/** The same for people, at the end of `--help`. */
export const EXIT_CODES_HELP = `
Exit codes:
${Object.entries(EXIT_CODES)
  .map(([name, code]) => `  ${String(code).padEnd(3)}  ${EXIT_CODE_MEANINGS[name as keyof typeof EXIT_CODES]}`)
  .join("\n")}`;

/** The server ended a stream without an error, and not because this process asked for it. */
export class StreamEnded extends Error {
  /** For programs, like the reason of a PresenceError. */
  readonly reason = "ENDED_ELSEWHERE";
}

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
  if (error instanceof StreamEnded) return EXIT_CODES.ended;
  if (error instanceof PresenceError) {
    if (error.reason === "SAME_USER_REPLACED") return EXIT_CODES.ended;
    return BY_STATUS[error.code] ?? EXIT_CODES.unexpected;
  }
  if (isTimeout(error)) return EXIT_CODES.unreachable;
  // commander ends `--help` and `--version` by an error too, whose code is 0.
  if (error instanceof CommanderError) return error.exitCode === 0 ? EXIT_CODES.ok : EXIT_CODES.usage;
  return EXIT_CODES.unexpected;
}

/** Whether a call was given up because its time was over. */
export function isTimeout(error: unknown): boolean {
  return error instanceof DOMException && error.name === "TimeoutError";
}
