import { existsSync, readdirSync, readFileSync } from "node:fs";
import path from "node:path";

/** One file in which two trees are not the same. */
export interface Difference {
  /** The file's path from the trees' roots, with `/`. */
  readonly file: string;
  /** `missing`: only in the expected tree; `extra`: only in the actual one; `differs`: in both, with other bytes. */
  readonly kind: "missing" | "extra" | "differs";
}

/**
 * Compares two folders, byte for byte. Returns the files that are not the same, sorted by path; empty when there are
 * none. A folder that does not exist is an empty one; empty folders count for nothing.
 */
export function compareTrees(expected: string, actual: string): Difference[] {
  const [due, found] = [new Set(filesOf(expected)), new Set(filesOf(actual))];
  const differences: Difference[] = [];
  for (const file of [...new Set([...due, ...found])].sort()) {
    if (!found.has(file)) differences.push({ file, kind: "missing" });
    else if (!due.has(file)) differences.push({ file, kind: "extra" });
    else if (!sameBytes(path.join(expected, file), path.join(actual, file)))
      differences.push({ file, kind: "differs" });
  }
  return differences;
}

function filesOf(root: string): string[] {
  if (!existsSync(root)) return [];
  return readdirSync(root, { recursive: true, withFileTypes: true })
    .filter((entry) => !entry.isDirectory())
    .map((entry) => path.relative(root, path.join(entry.parentPath, entry.name)).split(path.sep).join("/"));
}

function sameBytes(a: string, b: string): boolean {
  return readFileSync(a).equals(readFileSync(b));
}
