/**
 * Characters that must not reach a terminal as they are: control characters, and those that reorder or hide text or
 * have no visible form. Ids and states come from other people. The first group is what is allowed of them: joiners
 * between letters of scripts that need them and between the parts of an emoji, and the selector of coloured emoji.
 */
const UNPRINTABLE = new RegExp(
  [
    String.raw`((?<=[JOIN]\ufe0f?)[\u200c\u200d](?=[JOIN])|(?<=\p{Extended_Pictographic})\ufe0f|\ufe0f(?=\u20e3))`,
    String.raw`[\p{Cc}\p{Cs}\p{Zl}\p{Zp}\p{Default_Ignorable_Code_Point}\u2800\ufff9-\ufffb]`,
  ]
    .join("|")
    .replaceAll(
      "JOIN",
      String.raw`\p{Extended_Pictographic}\p{Emoji_Modifier}\p{sc=Arab}\p{sc=Syrc}\p{sc=Mong}\p{sc=Deva}\p{sc=Beng}\p{sc=Guru}\p{sc=Gujr}\p{sc=Orya}\p{sc=Taml}\p{sc=Telu}\p{sc=Knda}\p{sc=Mlym}\p{sc=Sinh}\p{sc=Khmr}\p{sc=Mymr}`,
    ),
  "gu",
);

/** Spaces that look like the plain one, or like none. */
const OTHER_SPACES = /(?! )\p{Zs}/gu;

const SHORT: Readonly<Record<string, string>> = { "\n": "\\n", "\r": "\\r", "\t": "\\t" };

/** A text that is safe to print, on one line: unprintable characters are shown by their code, as `\x1b` or `\u202e`. */
export function printable(text: string): string {
  return text.replace(UNPRINTABLE, (character, allowed?: string) => allowed ?? SHORT[character] ?? codeOf(character));
}

/**
 * An id or a value so that two different ones never look the same: what is empty or not one plain word is in quotes,
 * with backslashes, quotes and unusual spaces escaped.
 */
export function printableName(text: string): string {
  const shown = printable(text.replaceAll("\\", "\\\\")).replace(OTHER_SPACES, codeOf);
  return /^[^\s"=,;()]+$/.test(shown) ? shown : `"${shown.replaceAll('"', '\\"')}"`;
}

/** One value as a line of JSON that is safe to print. The client's values have a `toJSON` for bigints and maps. */
export function jsonLine(value: unknown): string {
  // JSON itself escapes only the first 32.
  return JSON.stringify(value).replace(
    UNPRINTABLE,
    (character, allowed?: string) =>
      allowed ?? Array.from({ length: character.length }, (_, n) => `\\u${hex(character.charCodeAt(n), 4)}`).join(""),
  );
}

/** A state as `Mic=True Mood="so so"`, by key; empty for an empty state. */
export function formatStates(states: Readonly<Record<string, string>>): string {
  return sortedPairs(states)
    .map(([key, value]) => formatPair(key, value))
    .join(" ");
}

/** One pair of a state as `Mood="so so"`. */
export function formatPair(key: string, value: string): string {
  return `${printableName(key)}=${printableName(value)}`;
}

/** A state's pairs, ordered by key. */
export function sortedPairs(states: Readonly<Record<string, string>>): [string, string][] {
  return Object.entries(states).sort(([a], [b]) => (a < b ? -1 : 1));
}

/** The time of day, `12:03:44`, where the reader is. */
export function timeOfDay(time: Date): string {
  return time.toTimeString().slice(0, 8);
}

function codeOf(character: string): string {
  const code = character.codePointAt(0)!;
  if (code > 0xffff) return `\\u{${code.toString(16)}}`;
  return code <= 0xff ? `\\x${hex(code, 2)}` : `\\u${hex(code, 4)}`;
}

function hex(code: number, digits: number): string {
  return code.toString(16).padStart(digits, "0");
}
