import { CommanderError } from "commander";
import { PresenceError } from "../client/index.js";
import { exitCodeOf, isTimeout } from "./exit_codes.js";
import { jsonLine, printable } from "./printable.js";

/** A command's failure, with the server that it talked to. */
export class CommandFailure extends Error {
  /** The address that was tried. */
  readonly address: string;

  constructor(cause: unknown, address: string) {
    super("the command failed", { cause });
    this.address = address;
  }
}

/** What is to be said of a failure, and done. */
export interface FailureReport {
  readonly exitCode: number;
  /** One line for stderr, without its end; undefined when nothing is left to be said (`--help`). */
  readonly line: string | undefined;
}

/** Puts a failure into one line: words for people, or an object for programs; never a stack trace. */
export function reportOf(thrown: unknown, json: boolean): FailureReport {
  const error = thrown instanceof CommandFailure ? thrown.cause : thrown;
  const exitCode = exitCodeOf(error);
  // With these commander has printed already what there is to say.
  if (error instanceof CommanderError && (exitCode === 0 || error.code === "commander.help")) {
    return { exitCode, line: undefined };
  }
  const message = messageOf(error, thrown instanceof CommandFailure ? thrown.address : undefined);
  if (!json) return { exitCode, line: `rollcall: ${printable(message)}` };
  if (!(error instanceof PresenceError)) return { exitCode, line: jsonLine({ error: { message, exitCode } }) };
  const { code, reason, violations, metadata, retryAfterMs, currentState } = error;
  const details = { code, reason, message: error.message, violations, metadata, retryAfterMs, currentState, exitCode };
  return { exitCode, line: jsonLine({ error: details }) };
}

function messageOf(error: unknown, address: string | undefined): string {
  if (isTimeout(error)) return `no answer from ${address} in time; is that a Rollcall server? --timeout waits longer`;
  if (error instanceof PresenceError) return presenceMessageOf(error, address);
  if (error instanceof CommanderError) return error.message.replace(/^error: /, "").replaceAll("\n", " ");
  return error instanceof Error ? error.message : String(error);
}

/** What failed, out of the sentences that grpc-js puts round it; all of them when they are others. */
function causeOf(message: string): string {
  return /Last error: (?:Error: )?(.+?)\.? Resolution note:/.exec(message)?.[1] ?? message;
}

function presenceMessageOf(error: PresenceError, address: string | undefined): string {
  if (error.code === "UNAVAILABLE" && error.reason === undefined) {
    return `no server answers at ${address} (${causeOf(error.message)}); start one with: rollcall serve`;
  }
  const fields = error.violations.map(({ field, description }) => `${field}: ${description}`);
  const unsaid = fields.filter((field) => !error.message.includes(field));
  const wait = error.retryAfterMs === undefined ? [] : [`try again in ${error.retryAfterMs / 1000} s`];
  return [`${error.reason ?? error.code}: ${error.message}`, ...unsaid, ...wait].join("; ");
}
