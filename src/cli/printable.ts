/**
 * What must not reach a terminal as it is: control characters, which it obeys,
 * and those that reorder or hide text, which deceive its reader. Ids and states
 * come from other people.
 */
const UNPRINTABLE =
  /[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\u00ad\u061c\u200b\u200e\u200f\u202a-\u202e\u2060-\u206f\ufeff\ufff9-\ufffb]/gu;

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** A text that is safe to print, on one line: unprintable characters are shown by their code, as `\x1b` or `\u202e`. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character) => SHORT[character] ?? escapeOf(character, 2));
}

/** One value as a line of JSON that is safe to print. The client's values have a `toJSON` for bigints and maps. */
export function jsonLine(value: unknown): string {
  // JSON itself escapes only the first 32.
  return JSON.stringify(value).replace(UNPRINTABLE, (character) => escapeOf(character, 4));
}

/** A state as `Mic=True Mood="so so"`, by key; empty for an empty state. */
export function formatStates(states: Readonly<Record<string, string>>): string {
  return sortedPairs(states)
    .map(([key, value]) => `${quoted(key)}=${quoted(value)}`)
    .join(" ");
}

/** A state's pairs, ordered by key. */
export function sortedPairs(states: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(states).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** The time of day, `12:03:44`, where the reader is. */
export function timeOfDay(time: Date): string {
  return time.toTimeString().slice(0, 8);
}

function quoted(text: string): string {
  const shown = printable(text);
  return /^[^\s"=]+$/.test(shown) ? shown : `"${shown.replaceAll('"', '\\"')}"`;
}

function escapeOf(character: string, digits: 2 | 4): string {
  const code = character.charCodeAt(0);
  const hex = code.toString(16);
  return digits === 2 && code <= 0xff ? `\\x${hex.padStart(2, "0")}` : `\\u${hex.padStart(4, "0")}`;
}
