import assert from "node:assert/strict";
import { existsSync, readFileSync, writeFileSync } from "node:fs";

/** Members of JSON answers that differ from run to run, and what stands for them in a golden file. */
const MASKS: Readonly<Record<string, string>> = {
  time: "<time>",
  joinTime: "<time>",
  updateTime: "<time>",
  pendingExpireTime: "<time>",
  sessionId: "<session>",
  session_id: "<session>",
  epoch: "<epoch>",
  nextPageToken: "<token>",
  retryDelay: "<delay>",
};

/**
 * A JSON value with its times, session ids, epochs, tokens and delays masked. Revisions are those of one channel; they
 * are counted from the lowest one.
 */
export function masked(value: unknown): unknown {
  const begin = revisionsOf(value).reduce((lowest, revision) => (revision < lowest ? revision : lowest), PENDING);
  return mask(value, begin);
}

const PENDING = 2n ** 52n;

function revisionsOf(value: unknown): bigint[] {
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([key, member]) => (key === "revision" ? BigInt(member) : revisionsOf(member)));
}

function mask(value: unknown, begin: bigint): unknown {
  if (Array.isArray(value)) return value.map((one) => mask(one, begin));
  if (typeof value !== "object" || value === null) return value;
  const entries = Object.entries(value).map(([key, member]) => {
    if (key === "revision")
      return [key, BigInt(member) < PENDING ? `<begin + ${BigInt(member) - begin}>` : "<pending>"];
    return [key, typeof member === "string" && MASKS[key] ? MASKS[key] : mask(member, begin)];
  });
  return Object.fromEntries(entries);
}

/**
 * Compares `actual` with what a JSON file in `test/contract/golden/` holds. With ROLLCALL_GOLDEN=write in the environment the
 * file is written instead: read the difference before committing it.
 */
export function assertGolden(name: string, actual: unknown): void {
  const file = new URL(`../contract/golden/${name}`, import.meta.url);
  if (process.env.ROLLCALL_GOLDEN === "write") {
    writeFileSync(file, `${JSON.stringify(actual, null, 2)}\n`);
  }
  assert.ok(existsSync(file), `${name} is missing; ROLLCALL_GOLDEN=write makes it`);
  assert.deepEqual(actual, JSON.parse(readFileSync(file, "utf8")));
}
