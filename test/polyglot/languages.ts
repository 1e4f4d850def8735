import { fileURLToPath } from "node:url";

/** The repository's root, with `/` at its end. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** A program that plays the scenario in one language, with one library. */
export interface Language {
  /** Commands that must succeed where the toolchain is there, and how to get it when one does not. */
  readonly needs: readonly { readonly command: readonly string[]; readonly advice: string }[];
  /** Commands that make stubs and program; run in the repository's root. Nothing to do: fast. */
  readonly build: (cache: string) => readonly (readonly string[])[];
  /** The program, started in the repository's root. */
  readonly run: (cache: string) => readonly string[];
}

const typescript = (transport: string): Language => ({
  needs: [],
  build: () => [],
  run: () => [process.execPath, "--import", "tsx", "test/polyglot/typescript/runner.ts", transport],
});

/** Every language there is a runner for. */
export const LANGUAGES: Readonly<Record<string, Language>> = {
  "ts-grpc-js": typescript("grpc-js"),
  "ts-nice-grpc": typescript("nice-grpc"),
  "ts-connect": typescript("connect"),
};
