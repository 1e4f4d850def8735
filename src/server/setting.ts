import type { ListenAddress } from "../rpc/connections.js";

/** How a setting is written by a person, and what it may be. */
export type SettingKind =
  | { readonly kind: "address" }
  | { readonly kind: "switch" }
  /** A path, a URL, a name: whoever uses it says what is wrong with it. */
  | { readonly kind: "text" }
  | { readonly kind: "choice"; readonly choices: readonly string[] }
  | { readonly kind: "duration" | "bytes" | "count"; readonly min: number; readonly max: number };

/** One setting: a flag of `rollcall serve`, and a variable of its environment. */
export type Setting = SettingKind & {
  /** Without the dashes. */
  readonly flag: string;
  /** As a person would write it; `undefined`: off. */
  readonly default: string | undefined;
  readonly help: string;
};

const SECOND = 1000;
const MINUTE = 60 * SECOND;
const KIB = 1024;
const MIB = 1024 * KIB;

/** The environment variable of a setting: `ROLLCALL_PRESENCE_TIMEOUT` for `--presence-timeout`. */
export function environmentName(setting: Setting): string {
  return `ROLLCALL_${setting.flag.toUpperCase().replaceAll("-", "_")}`;
}

/** A setting that a server cannot be started with. The message is one line for a person. */
export class SettingError extends Error {
  override readonly name = "SettingError";
}

/** Reads a setting as a person wrote it; throws a SettingError that says what is allowed. */
export function parseSetting(setting: Setting, text: string): unknown {
  switch (setting.kind) {
    case "address":
      return parseAddress(setting, text);
    case "text":
      if (text === "") throw new SettingError(`--${setting.flag}: must not be empty`);
      return text;
    case "switch":
      return parseChoice(setting, ["true", "false"], text) === "true";
    case "choice": {
      const chosen = parseChoice(setting, setting.choices, text);
      return setting.choices.includes("false") ? chosen === "true" : chosen;
    }
    default:
      return parseQuantity(setting, text);
  }
}

function parseAddress(setting: Setting, text: string): ListenAddress {
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([^:[\]\s]+)):(\d{1,5})$/.exec(text);
  const port = Number(match?.[3]);
  if (!match || port > 65535) {
    throw new SettingError(`--${setting.flag}: "${text}" is not HOST:PORT, such as 127.0.0.1:50051 or [::1]:50051`);
  }
  return { host: (match[1] ?? match[2])!, port };
}

function parseChoice(setting: Setting, choices: readonly string[], text: string): string {
  if (!choices.includes(text)) {
    throw new SettingError(`--${setting.flag}: "${text}" is not one of ${choices.join(", ")}`);
  }
  return text;
}

const UNITS: Readonly<Record<string, ReadonlyMap<string, number>>> = {
  duration: new Map(Object.entries({ ms: 1, s: SECOND, m: MINUTE, h: 60 * MINUTE })),
  bytes: new Map(Object.entries({ "": 1, B: 1, KiB: KIB, MiB: MIB })),
  count: new Map([["", 1]]),
};

/** What a quantity is counted in, at the least. */
const WHOLE: Readonly<Record<string, string>> = { duration: "milliseconds", bytes: "bytes", count: "ones" };

const EXAMPLES: Readonly<Record<string, string>> = { duration: "30s or 500ms", bytes: "65536 or 64KiB", count: "100" };

function parseQuantity(setting: Setting & { min: number; max: number }, text: string): number {
  const { flag, kind, min, max } = setting;
  const match = /^(\d+(?:\.\d+)?)([A-Za-z]*)$/.exec(text);
  const unit = text === "0" ? 1 : UNITS[kind]!.get(match?.[2] ?? "?");
  if (!match || unit === undefined) {
    throw new SettingError(`--${flag}: "${text}" is not a ${kind}, such as ${EXAMPLES[kind]}`);
  }
  const exact = Number(match[1]) * unit;
  const value = Math.round(exact);
  // 0.1 and its like are not what they look like to a computer.
  if (Math.abs(exact - value) > 1e-6)
    throw new SettingError(`--${flag}: ${text} is not a whole number of ${WHOLE[kind]}`);
  if (value < min || value > max) {
    throw new SettingError(`--${flag}: ${text} is out of range; allowed: ${show(kind, min)} to ${show(kind, max)}`);
  }
  return value;
}

function show(kind: string, value: number): string {
  if (kind === "duration") return value % SECOND === 0 ? `${value / SECOND}s` : `${value}ms`;
  if (kind === "bytes") return value % KIB === 0 ? `${value / KIB}KiB` : `${value}B`;
  return String(value);
}
