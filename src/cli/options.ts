import { userInfo } from "node:os";
import type { Command } from "commander";
import { CommanderError, InvalidArgumentError, Option } from "commander";
import type { ChannelType } from "../client/index.js";
import { parseServerAddress } from "./address.js";

/** What every command that talks to a server is told. */
export interface ConnectionFlags {
  /** Absent: the token's user, or the operating system's user name. */
  readonly user?: string;
  /** Shows the server who the caller is. */
  readonly token?: string;
  readonly address: string;
  /** How long a call may take, in milliseconds. */
  readonly timeout: number;
  readonly json?: boolean;
}

/** What every command about a channel is told. */
export interface ChannelFlags extends ConnectionFlags {
  readonly type: ChannelType;
}

/** Adds `--user`, `--token`, `--address`, `--timeout` and `--json`. */
export function addConnectionOptions(command: Command): Command {
  return command
    .addOption(
      new Option("-u, --user <id>", "who you are (default: the token's user, or your user name here)")
        .env("ROLLCALL_USER")
        .argParser(nonEmpty),
    )
    .addOption(
      new Option("--token <token>", "a token that shows who you are; better in the environment")
        .env("ROLLCALL_TOKEN")
        .argParser(parseToken),
    )
    .addOption(
      new Option("-a, --address <host:port>", "where the server is")
        .env("ROLLCALL_ADDRESS")
        .default("127.0.0.1:50051")
        .argParser(parseServerAddress),
    )
    .addOption(
      new Option("--timeout <time>", "how long to wait for an answer: 500ms, 5s, 1m")
        .default(5000, "5s")
        .argParser(parseDuration),
    )
    .option("--json", "print JSON, one object per line; errors as well, on stderr");
}

/** Adds what `addConnectionOptions` does, and `--type`. */
export function addChannelOptions(command: Command): Command {
  const type = new Option("-t, --type <type>", "the channel's type").choices(["message", "stream"]).default("message");
  return addConnectionOptions(command.addOption(type));
}

/** Who the flags say that the caller is. */
export function userOf(flags: ConnectionFlags): string {
  const named = flags.user ?? subjectOf(flags.token);
  if (named !== undefined) return named;
  try {
    return userInfo().username;
  } catch {
    // A process may run under a number that has no name, as in a container.
    throw new InvalidArgumentError("this system has no name for you: say who you are with --user");
  }
}

/** Whom a token names, read without looking whether it is good, which is the server's to do. */
function subjectOf(token: string | undefined): string | undefined {
  try {
    const claims: unknown = JSON.parse(Buffer.from(token?.split(".")[1] ?? "", "base64url").toString());
    const { sub } = claims as { sub?: unknown };
    return typeof sub === "string" ? sub : undefined;
  } catch {
    return undefined;
  }
}

/** A duration such as `500ms`, `5s`, `1.5m`, in milliseconds; above 0, at most a day. */
export function parseDuration(text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m)$/.exec(text);
  const milliseconds = Number(match?.[1]) * { ms: 1, s: 1000, m: 60_000 }[match?.[2] ?? "ms"]!;
  if (!(milliseconds > 0 && milliseconds <= 86_400_000)) {
    throw new InvalidArgumentError("Give a number above 0 and a unit, such as 500ms, 5s or 1m; at most 1440m.");
  }
  return milliseconds;
}

/** A revision, as `get --json` prints it: a whole number from 0 up. */
export function parseRevision(text: string): bigint {
  if (!/^\d{1,20}$/.test(text) || BigInt(text) >= 1n << 64n) {
    throw new InvalidArgumentError("A revision is a whole number from 0 up.");
  }
  return BigInt(text);
}

/** `KEY=VALUE`, added to the pairs before it. The value may be empty and may hold further `=`. */
export function parsePair(text: string, before: Readonly<Record<string, string>> = {}): Record<string, string> {
  const at = text.indexOf("=");
  if (at < 1) throw new InvalidArgumentError(`"${text}" is not KEY=VALUE.`);
  if (Object.hasOwn(before, text.slice(0, at))) {
    throw new InvalidArgumentError(`the key "${text.slice(0, at)}" is given twice.`);
  }
  // fromEntries, unlike assignment, makes an own property of "__proto__".
  return Object.fromEntries([...Object.entries(before), [text.slice(0, at), text.slice(at + 1)]]);
}

const REPEATABLE = new WeakSet<Option>();

/** Marks an option that may be given several times; `refuseDoubles` refuses the others. */
export function repeatable(option: Option): Option {
  REPEATABLE.add(option);
  return option;
}

/** Makes a command refuse an option that is given twice, unless it is `repeatable` or takes a list. */
export function refuseDoubles(command: Command): void {
  for (const option of command.options) {
    if (REPEATABLE.has(option) || option.variadic) continue;
    let given = false;
    command.on(`option:${option.name()}`, () => {
      if (given) command.error(`error: option '${option.flags}' is given twice; give it once`);
      given = true;
    });
  }
}

/** The message does not repeat the token, which is a secret. */
function parseToken(text: string): string {
  if (!/^[!-~]+$/.test(text)) {
    throw new CommanderError(
      2,
      "rollcall.invalidToken",
      "--token or ROLLCALL_TOKEN: a token is not empty and has no spaces",
    );
  }
  return text;
}

function nonEmpty(text: string): string {
  if (text === "") throw new InvalidArgumentError("It must not be empty.");
  return text;
}
