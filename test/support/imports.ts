import { readFileSync } from "node:fs";
import path from "node:path";

/** One import, export-from, dynamic import or require in a source file. */
export interface Import {
  /** Path of the importing file from the repository's root, with `/`. */
  readonly file: string;
  /** Line where it begins, from 1. */
  readonly line: number;
  /**
   * What is imported: for a relative specifier the path of the `.ts` file from the root, otherwise the specifier
   * itself. `undefined` when it is computed, so that nobody can read it off.
   */
  readonly target: string | undefined;
  /** `import type` or `export type`: gone at run time. An import of which only the names say `type` is not. */
  readonly typeOnly: boolean;
}

/** Strings and comments; the only places where something could look like an import and not be one. */
const STRING_OR_COMMENT = /"(?:\\.|[^"\\\n])*"|'(?:\\.|[^'\\\n])*'|`(?:\\.|[^`\\])*`|\/\/[^\n]*|\/\*[\s\S]*?\*\//g;

/** `import … from "x"`, `import "x"`, `export … from "x"`, at the beginning of a line, where Biome puts them. */
const STATIC = /^(?:import|export)\b(\s+type\b(?!\s*(?:,|from\s*["'])))?([^;"'`]*?\bfrom)?\s*["']([^"'\n]+)["']/gm;

/** `import(x)` and `require(x)`; what comes before a `.` is somebody's method. */
const CALLED = /(?<![.\w])(?:import|require)\s*\(\s*(?:["'`]([^"'`$\n]+)["'`]\s*[,)])?/g;

/**
 * Every import of a source text. `file` is its path from the repository's root. Knows the forms that formatted
 * TypeScript modules have; `import x = require("y")` is read as the require that it is.
 */
export function importsOf(file: string, text: string): Import[] {
  const code = text.replaceAll(STRING_OR_COMMENT, (part) => (/^["'`]/.test(part) ? part : part.replace(/[^\n]/g, " ")));
  const imports: Import[] = [];
  const add = (at: number, specifier: string | undefined, typeOnly: boolean) => {
    const line = code.slice(0, at).split("\n").length;
    imports.push({ file, line, target: specifier && resolve(file, specifier), typeOnly });
  };
  for (const match of code.matchAll(STATIC)) add(match.index, match[3], match[1] !== undefined);
  for (const match of code.matchAll(CALLED)) add(match.index, match[1], false);
  return imports.sort((a, b) => a.line - b.line);
}

/** Reads the imports of files given by their paths from `root`. */
export function importsIn(root: string, files: readonly string[]): Import[] {
  return files.flatMap((file) => importsOf(file, readFileSync(path.join(root, file), "utf8")));
}

function resolve(file: string, specifier: string): string {
  if (!specifier.startsWith(".")) return specifier;
  return path.posix.join(path.posix.dirname(file), specifier).replace(/\.js$/, ".ts");
}
