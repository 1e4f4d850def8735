import type { ListenAddress } from "../rpc/connections.js";

/** Milliseconds in a second. */
export const SECOND = 1000;
/** Milliseconds in a minute. */
export const MINUTE = 60 * SECOND;
/** Bytes in a KiB. */
export const KIB = 1024;
/** Bytes in a MiB. */
export const MIB = 1024 * KIB;

/** How a setting is written by a person, and what it may be. */
export type SettingKind =
  | { readonly kind: "address" }
  | { readonly kind: "switch" }
  /** A path, a URL, a name: whoever uses it says what is wrong with it. */
  | { readonly kind: "text" }
  /** Taken from the environment alone: other users of the machine see the command line. */
  | { readonly kind: "secret" }
  | { readonly kind: "channels" }
  | { readonly kind: "choice"; readonly choices: readonly string[] }
  | { readonly kind: "duration" | "bytes" | "count"; readonly min: number; readonly max: number };

/** A setting that is a number. */
export type Quantity = Setting & { readonly kind: "duration" | "bytes" | "count" };

/** One setting: a flag of `rollcall serve`, and a variable of its environment. */
export type Setting = SettingKind & {
  /** Without the dashes. */
  readonly flag: string;
  /** As a person would write it; `undefined`: off. */
  readonly default: string | undefined;
  /** Accepted with a warning in the log, has no effect, and is not in the help. Default false. */
  readonly deprecated?: boolean;
  readonly help: string;
};

/** The environment variable of a setting: `ROLLCALL_PRESENCE_TIMEOUT` for `--presence-timeout`. */
export function environmentName(setting: Setting): string {
  return `ROLLCALL_${setting.flag.toUpperCase().replaceAll("-", "_")}`;
}

/** An address as `host:port`, with an IPv6 host in brackets. */
export function formatAddress({ host, port }: ListenAddress): string {
  return host.includes(":") ? `[${host}]:${port}` : `${host}:${port}`;
}

/** What a person knows a setting by. */
export function nameOf(setting: Setting): string {
  return setting.kind === "secret" ? environmentName(setting) : `--${setting.flag}`;
}

/** A setting that a server cannot be started with. The message is one line for a person. */
export class SettingError extends Error {
  override readonly name = "SettingError";
}

/**
 * Checks the value of a setting that a program gave, called `name`; throws a SettingError that says what is allowed.
 * Settings by channel are checked by `checkChannelSettings`.
 */
export function checkValue(name: string, setting: Setting, value: unknown): void {
  const refuse = (why: string): never => {
    const isShown = setting.kind !== "secret" && (typeof value !== "object" || value === null);
    throw new SettingError(`${name}: ${isShown ? String(value) : "this"} ${why}`);
  };
  switch (setting.kind) {
    case "address": {
      const { host, port } = (value ?? {}) as Partial<ListenAddress>;
      const isPort = Number.isInteger(port) && port! >= 0 && port! <= 65535;
      if (typeof host !== "string" || host === "" || !isPort)
        refuse("is not { host, port } with a port from 0 to 65535");
      break;
    }
    case "switch":
      if (typeof value !== "boolean") refuse("is not true or false");
      break;
    case "choice": {
      const choices = setting.choices.includes("false") ? [true, false] : setting.choices;
      if (!(choices as unknown[]).includes(value)) refuse(`is not one of ${choices.join(", ")}`);
      break;
    }
    case "text":
    case "secret":
      if (typeof value !== "string" || value === "") refuse("is not a text of at least one character");
      break;
    case "channels":
      break;
    default: {
      const { kind, min, max } = setting;
      const unit = kind === "count" ? "" : WHOLE[kind];
      if (!Number.isInteger(value)) refuse(`is not a whole number${unit && ` of ${unit}`}`);
      if ((value as number) < min || (value as number) > max) {
        refuse(`is out of range; allowed: ${min} to ${max}${unit && ` (${unit})`}`);
      }
    }
  }
}

const UNITS: Readonly<Record<string, ReadonlyMap<string, number>>> = {
  duration: new Map(Object.entries({ ms: 1, s: SECOND, m: MINUTE, h: 60 * MINUTE })),
  bytes: new Map(Object.entries({ "": 1, B: 1, KiB: KIB, MiB: MIB })),
  count: new Map([["", 1]]),
};

/** What a quantity is counted in, at the least. */
const WHOLE: Readonly<Record<string, string>> = { duration: "milliseconds", bytes: "bytes", count: "ones" };

const EXAMPLES: Readonly<Record<string, string>> = { duration: "30s or 500ms", bytes: "65536 or 64KiB", count: "100" };

/** Reads a quantity with its unit, such as `500ms`, `64KiB` or `7`; throws a SettingError that says what is allowed. */
export function parseQuantity(setting: Quantity, text: string): number {
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
