import type { Rules } from "../channel/apply.js";
import type { Pace } from "../fanout/pace.js";
import type { ChannelId } from "../model/channel_id.js";
import { checkValue, MINUTE, parseQuantity, type Quantity, SECOND, SettingError } from "./setting.js";

/** Settings of the channels whose names fit a pattern; what is absent is as it is for the whole server. */
export interface ChannelSettings {
  /** As the server's setting of that name (S18). */
  readonly announceMax?: number | undefined;
  /** As the server's setting of that name, in ms (S18). */
  readonly interval?: number | undefined;
  /** As the server's setting of that name, in ms. */
  readonly leaveDebounce?: number | undefined;
}

/** The settings of a server that a pattern can change. */
export const CHANNEL_SETTINGS: Readonly<Record<keyof ChannelSettings, Quantity>> = {
  announceMax: {
    flag: "announce-max",
    kind: "count",
    min: 0,
    max: 1_000_000,
    default: "500",
    help: "present users up to which a channel announces each event; beyond, it tells in intervals",
  },
  interval: {
    flag: "interval",
    kind: "duration",
    min: 10,
    max: MINUTE,
    default: "1s",
    help: "time between two reports of a channel that is too large to announce each event",
  },
  leaveDebounce: {
    flag: "leave-debounce",
    kind: "duration",
    min: 0,
    max: 30 * SECOND,
    default: "0s",
    help: "how long a user who leaves stays present, so that coming back meanwhile is no event; 0: not at all",
  },
};

/** The same by the names that a person gives them. */
const CHANGEABLE = { announce_max: "announceMax", interval: "interval", leave_debounce: "leaveDebounce" } as const;

/** What a server has for all channels, and for some. */
export interface ChannelDefaults {
  readonly announceMax: number;
  /** In ms. */
  readonly interval: number;
  /** In ms. */
  readonly leaveDebounce: number;
  readonly channel: Readonly<Record<string, ChannelSettings>> | undefined;
}

/** The longest channel name, in bytes: a pattern beyond it fits nothing. */
const MAX_NAME_BYTES = 128;

const EXAMPLE = `"lobby:*=announce_max:50,interval:5s"`;

/**
 * Reads patterns with their settings, one a line, as in `lobby:*=announce_max:50,interval:5s`. Names of channels hold no
 * line ends, and settings hold no `=`, so any pattern can be written. Throws a SettingError that says what is allowed.
 */
export function parseChannelSettings(flag: string, text: string): Record<string, ChannelSettings> {
  const all: Record<string, ChannelSettings>[] = [];
  for (const line of text.split("\n").filter((line) => line.trim() !== "")) {
    const at = line.lastIndexOf("=");
    if (at < 0) throw new SettingError(`--${flag}: "${line}" is not PATTERN=SETTINGS, such as ${EXAMPLE}`);
    const pattern = line.slice(0, at);
    checkPattern(`--${flag}`, pattern);
    all.push(Object.fromEntries([[pattern, parseRules(flag, line.slice(at + 1))]]));
  }
  return all.reduce((before, more) => addChannelSettings(flag, before, more), {});
}

/** Both together, for a flag that is given again; refuses a pattern that is in both, with a SettingError. */
export function addChannelSettings(
  flag: string,
  before: Readonly<Record<string, ChannelSettings>>,
  more: Readonly<Record<string, ChannelSettings>>,
): Record<string, ChannelSettings> {
  for (const pattern of Object.keys(more)) {
    if (Object.hasOwn(before, pattern)) throw new SettingError(`--${flag}: "${pattern}" is given twice`);
  }
  // fromEntries, unlike assignment, makes an own property of "__proto__".
  return Object.fromEntries([...Object.entries(before), ...Object.entries(more)]);
}

/** Checks channel settings that a program gave; throws a SettingError. */
export function checkChannelSettings(name: string, value: unknown): void {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw new SettingError(`${name}: not an object such as {"lobby:*": {announceMax: 50, interval: 5000}}`);
  }
  for (const [pattern, settings] of Object.entries(value)) {
    checkPattern(name, pattern);
    if (typeof settings !== "object" || settings === null) {
      throw new SettingError(`${name}: the settings of "${pattern}" are not an object`);
    }
    for (const [key, changed] of Object.entries(settings)) {
      if (!isChangeable(key)) {
        throw new SettingError(`${name}: "${pattern}" sets ${key}; allowed: ${Object.values(CHANGEABLE).join(", ")}`);
      }
      if (changed !== undefined) checkValue(`${name}: "${pattern}": ${key}`, CHANNEL_SETTINGS[key], changed);
    }
  }
}

/** When a channel goes over to intervals, by its name, whatever its type (S18). */
export function paceOf(settings: ChannelDefaults): (channel: ChannelId) => Pace {
  return byName(settings, ({ announceMax = settings.announceMax, interval = settings.interval }) => ({
    announceMax,
    intervalMs: interval,
  }));
}

/** The rules of a channel, by its name, whatever its type: what `shared` says, and its own debounce. */
export function rulesOf(
  settings: ChannelDefaults,
  shared: Omit<Rules, "leaveDebounceMs">,
): (channel: ChannelId) => Rules {
  return byName(settings, ({ leaveDebounce = settings.leaveDebounce }) => ({
    ...shared,
    leaveDebounceMs: leaveDebounce,
  }));
}

/**
 * What `make` makes of a channel's own settings, made once for each pattern. The most specific pattern that fits
 * counts, and no other: the name itself, or else the one with the longest prefix.
 */
function byName<T>(settings: ChannelDefaults, make: (own: ChannelSettings) => T): (channel: ChannelId) => T {
  const patterns = new Map(Object.entries(settings.channel ?? {}).map(([pattern, own]) => [pattern, make(own)]));
  const otherwise = make({});
  // Rules are asked for with every command.
  if (patterns.size === 0) return () => otherwise;
  const prefixes = [...patterns.keys()]
    .filter((pattern) => pattern.endsWith("*"))
    .map((pattern) => pattern.slice(0, -1));
  prefixes.sort((a, b) => b.length - a.length);
  return ({ name }) => {
    // A name may end with a star of its own; a pattern that does is no name.
    const exact = name.endsWith("*") ? undefined : patterns.get(name);
    const prefix = prefixes.find((prefix) => name.startsWith(prefix));
    return exact ?? (prefix === undefined ? otherwise : patterns.get(`${prefix}*`)!);
  };
}

function parseRules(flag: string, text: string): ChannelSettings {
  const rules: { -readonly [Name in keyof ChannelSettings]: ChannelSettings[Name] } = {};
  for (const rule of text.split(",")) {
    const at = rule.indexOf(":");
    const word = rule.slice(0, at).trim();
    if (at < 0 || !Object.hasOwn(CHANGEABLE, word)) {
      const known = Object.keys(CHANGEABLE).join(", ");
      throw new SettingError(`--${flag}: "${rule}" is not NAME:VALUE, with one of ${known} as the name`);
    }
    const key = CHANGEABLE[word as keyof typeof CHANGEABLE];
    if (rules[key] !== undefined) throw new SettingError(`--${flag}: ${word} is given twice in "${text}"`);
    rules[key] = parseQuantity({ ...CHANNEL_SETTINGS[key], flag: `${flag}: ${word}` }, rule.slice(at + 1).trim());
  }
  return rules;
}

function checkPattern(where: string, pattern: string): void {
  const star = pattern.indexOf("*");
  const reason =
    pattern === ""
      ? "is empty"
      : star >= 0 && star < pattern.length - 1
        ? "has a star that is not its end"
        : /[\p{Cc}\p{Cs}]/u.test(pattern)
          ? "holds control characters or half characters, as no name does"
          : Buffer.byteLength(pattern) > MAX_NAME_BYTES + (star < 0 ? 0 : 1)
            ? `is longer than any name, ${MAX_NAME_BYTES} bytes`
            : undefined;
  if (reason !== undefined) {
    throw new SettingError(`${where}: the pattern "${pattern}" ${reason}; allowed: a channel's name, or PREFIX*`);
  }
}

function isChangeable(key: string): key is keyof ChannelSettings {
  return (Object.values(CHANGEABLE) as string[]).includes(key);
}
