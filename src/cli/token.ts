import { Command, InvalidArgumentError, Option } from "commander";
import { type ChannelGrant, type NameRule, RIGHTS, type Right } from "../model/grant.js";
import type { Io } from "./io.js";
import { printLine } from "./io.js";
import { repeatable } from "./options.js";

interface TokenFlags {
  readonly user: string;
  readonly app?: string;
  readonly allow?: readonly ChannelGrant[];
  readonly allowName?: readonly ChannelGrant[];
  readonly actAs?: readonly string[];
  readonly actAsName?: readonly NameRule[];
  readonly expires: number;
  readonly issuer?: string;
  readonly audience?: string;
  readonly secretFile?: string;
  readonly devSecret?: boolean;
}

/** `rollcall token`: makes a token for development and tests (S20). */
export function tokenCommand(io: Io): Command {
  return new Command("token")
    .description("make a token, for development and tests")
    .requiredOption("-u, --user <id>", "whose token: who the caller is")
    .option("--app <name>", "the namespace that the user lives in")
    .addOption(
      repeatable(
        new Option(
          "--allow <pattern=right,...>",
          `rights in channels: ${RIGHTS.join(", ")}; may be given several times (default: *=subscribe,write,read)`,
        ).argParser(parseAllow((pattern) => ({ pattern }))),
      ),
    )
    .addOption(
      repeatable(
        new Option(
          "--allow-name <name=right,...>",
          "rights in the channel of exactly this name, also if it ends with a star; may be given several times",
        ).argParser(parseAllow((name) => ({ name }))),
      ),
    )
    .addOption(
      repeatable(
        new Option("--act-as <pattern>", "users to act for; may be given several times").argParser(
          (text: string, before: readonly string[] = []) => [...before, text],
        ),
      ),
    )
    .addOption(
      repeatable(
        new Option("--act-as-name <id>", "a user to act for, of exactly this id; may be given several times").argParser(
          (name: string, before: readonly NameRule[] = []) => [...before, { name }],
        ),
      ),
    )
    .addOption(
      new Option("--expires <time>", "how long it is valid: 90s, 5m, 1h, 7d")
        .default(3_600_000, "1h")
        .argParser(parseLife),
    )
    .option("--issuer <name>", "the claim iss, where the server asks for one")
    .option("--audience <name>", "the claim aud, where the server asks for one")
    .option("--secret-file <path>", "file with the server's secret (its --token-secret-file)")
    .option("--dev-secret", "use the secret of rollcall serve --dev-secret")
    .addHelpText(
      "after",
      `
Prints the token alone. A pattern is a channel's name, or what names begin with
and a star: 'room:*'. Whoever has the token is the user, so treat it as a key.
A server refuses tokens that are valid for longer than its --max-token-life (24h).

Examples:
  $ rollcall token --user tony --dev-secret
  $ export ROLLCALL_TOKEN=$(rollcall token --user tony --dev-secret)
  $ rollcall token --user backend --allow '*=read,query' --act-as '*' --secret-file secret.txt`,
    )
    .action((flags: TokenFlags) => makeToken(io, flags));
}

async function makeToken(io: Io, flags: TokenFlags): Promise<void> {
  const { user, app, expires, issuer, audience } = flags;
  const allowed = flags.allow || flags.allowName ? [...(flags.allow ?? []), ...(flags.allowName ?? [])] : undefined;
  const actAs = [...(flags.actAs ?? []), ...(flags.actAsName ?? [])];
  // Loaded here, as no other command needs them.
  const [{ mintToken }, { identityOf }] = await Promise.all([import("../auth/mint.js"), import("../auth/identity.js")]);
  const presence = {
    ...(app !== undefined && { app }),
    ...(allowed && { channels: allowed }),
    ...(actAs.length > 0 && { act_as: actAs }),
  };
  // What a server would not accept is better refused here.
  try {
    identityOf({ sub: user, exp: 0, presence }, 0);
  } catch (error) {
    throw new InvalidArgumentError(`no server would take such a token: ${(error as Error).message}`);
  }
  const secret = await secretOf(flags);
  printLine(io, await mintToken({ userId: user, presence, lifeMs: expires, issuer, audience, secret }));
}

async function secretOf({ secretFile, devSecret }: TokenFlags): Promise<string> {
  if ((secretFile === undefined) === !devSecret) {
    throw new InvalidArgumentError("say what to sign with: --secret-file PATH or --dev-secret");
  }
  if (secretFile === undefined) return (await import("../auth/dev_secret.js")).DEV_SECRET;
  const { readTextFile, secretIn } = await import("../auth/text_file.js");
  try {
    return secretIn(readTextFile(secretFile).text);
  } catch (error) {
    throw new InvalidArgumentError(`--secret-file: ${(error as Error).message}`);
  }
}

/** `room:*=subscribe,write`, added to the entries before it. The name or pattern may hold `=`; rights do not. */
function parseAllow(ruleOf: (text: string) => NameRule) {
  return (text: string, before: readonly ChannelGrant[] = []): readonly ChannelGrant[] => {
    const at = text.lastIndexOf("=");
    const rights = text.slice(at + 1).split(",");
    const wrong = rights.find((right) => !(RIGHTS as readonly string[]).includes(right));
    if (at < 1 || wrong !== undefined) {
      throw new InvalidArgumentError(`Give PATTERN=RIGHT,RIGHT with rights of ${RIGHTS.join(", ")}.`);
    }
    return [...before, { ...ruleOf(text.slice(0, at)), allow: rights as Right[] }];
  };
}

const UNITS: Readonly<Record<string, number>> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };
const MAX_LIFE_MS = 365 * 86_400_000;

function parseLife(text: string): number {
  const match = /^(\d+)([smhd])$/.exec(text);
  const ms = Number(match?.[1]) * (UNITS[match?.[2] ?? ""] ?? Number.NaN);
  if (!(ms > 0 && ms <= MAX_LIFE_MS))
    throw new InvalidArgumentError("Give a number and a unit up to 365d, such as 90s, 5m, 1h or 7d.");
  return ms;
}
