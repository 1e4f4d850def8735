import { readFileSync } from "node:fs";
import { parse } from "yaml";

/** Which of the two programs carries a step out. */
export type Role = "actor" | "watcher";

/** One step, as `scenario.yaml` explains it. */
export interface Step {
  readonly actor?: string;
  readonly watcher?: string;
  readonly user?: string;
  readonly with?: unknown;
  readonly answer?: unknown;
  readonly error?: unknown;
  readonly stream?: string;
  readonly hears?: readonly unknown[];
  readonly ends?: string;
  readonly reason?: string;
  readonly cancel?: string;
  readonly cut?: Role;
  readonly close?: Role;
  readonly keep?: Readonly<Record<string, string>>;
}

/** Steps that show one thing. */
export interface Chapter {
  /** The rules and what they say. */
  readonly title: string;
  readonly steps: readonly Step[];
}

/** Reads `scenario.yaml`. */
export function readScenario(): Chapter[] {
  const text = readFileSync(new URL("./scenario.yaml", import.meta.url), "utf8");
  // A chapter has its rules for a key, and what they say for its value.
  const { scenario } = parse(text) as { scenario: ({ steps: Step[] } & Record<string, unknown>)[] };
  return scenario.map(({ steps, ...title }) => ({ title: Object.entries(title).flat().join(": "), steps }));
}

/** What was kept, by name. */
export type Kept = Map<string, unknown>;

/** A value in which each `$name` is replaced by what was kept under it. */
export function filled(value: unknown, kept: Kept): unknown {
  if (typeof value === "string" && value.startsWith("$")) {
    if (!kept.has(value.slice(1))) throw new Error(`${value} was not kept by an earlier step`);
    return kept.get(value.slice(1));
  }
  if (Array.isArray(value)) return value.map((one) => filled(one, kept));
  if (typeof value !== "object" || value === null) return value;
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, filled(member, kept)]));
}

/** Remembers parts of a value by their paths (`state.revision`, `0.position`). */
export function keep(paths: Step["keep"], value: unknown, kept: Kept): void {
  for (const [name, path] of Object.entries(paths ?? {})) {
    const part = path.split(".").reduce<unknown>((at, key) => (at as Record<string, unknown>)?.[key], value);
    if (part === undefined) throw new Error(`there is no ${path} to keep in ${JSON.stringify(value)}`);
    kept.set(name, part);
  }
}

/** The first way in which `actual` is not as expected, as a sentence; undefined when it is. */
export function difference(expected: unknown, actual: unknown, path = "it"): string | undefined {
  if (Array.isArray(expected)) {
    const items = (actual ?? []) as unknown[];
    if (items.length !== expected.length) return told(path, expected, actual);
    return first(expected.map((one, i) => difference(one, items[i], `${path}[${i}]`)));
  }
  if (typeof expected === "object" && expected !== null) {
    const members = (actual ?? {}) as Record<string, unknown>;
    // A state is expected whole; elsewhere what is not named is free.
    if (path.endsWith(".states") && Object.keys(members).length !== Object.keys(expected).length) {
      return told(path, expected, actual);
    }
    // An event's kind without members of its own is there all the same.
    if (actual === undefined && !path.endsWith(".states")) return told(path, expected, actual);
    return first(Object.entries(expected).map(([key, one]) => difference(one, members[key], `${path}.${key}`)));
  }
  if (typeof expected === "string" && expected.startsWith("~")) {
    // Numbers of 64 bits have to be strings: a number in JSON is a double to many readers.
    const matches = typeof actual === "string" && new RegExp(expected.slice(1)).test(actual);
    return matches ? undefined : told(path, expected, actual);
  }
  // Protobuf's JSON leaves out what is empty, and writes 64-bit numbers as strings.
  const empty = expected === false || expected === 0 || expected === "";
  if (actual === undefined && empty) return path.includes(".states.") ? told(path, expected, actual) : undefined;
  return String(expected) === String(actual) ? undefined : told(path, expected, actual);
}

function first(differences: (string | undefined)[]): string | undefined {
  return differences.find((one) => one !== undefined);
}

function told(path: string, expected: unknown, actual: unknown): string {
  return `${path} is ${JSON.stringify(actual) ?? "not there"}; expected ${JSON.stringify(expected)}`;
}
