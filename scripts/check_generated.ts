import { execFile } from "node:child_process";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { promisify } from "node:util";
import { compareTrees, type Difference } from "./compare_trees.js";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/**
 * Generates the code anew from `proto/` into a temporary folder, which is gone afterwards, and compares it with
 * `committed` (default: the repository's `gen/`). Returns the files that are not the same. Fails when buf
 * does.
 */
export async function checkGenerated(committed: string = path.join(ROOT, "gen")): Promise<Difference[]> {
  const fresh = await mkdtemp(path.join(tmpdir(), "rollcall-gen-"));
  try {
    const variables = { BUF_CACHE_DIR: path.join(fresh, "cache") };
    await buf(["generate", "--output", fresh], variables);
    const image = path.join(fresh, "gen", "descriptors.binpb");
    await buf(["build", "--as-file-descriptor-set", "--exclude-source-info", "-o", image], variables);
    return compareTrees(path.join(fresh, "gen"), committed);
  } finally {
    await rm(fresh, { recursive: true, force: true });
  }
}

/**
 * Runs buf in the repository's root, with these variables added to the environment. Resolves to what it printed;
 * rejects, with that in the message, when it fails.
 */
export async function buf(args: string[], variables: Record<string, string> = {}): Promise<string> {
  // The template names its plugin by a bare name, which only npm would put into the path.
  const bin = path.join(ROOT, "node_modules", ".bin");
  const env = { ...process.env, ...variables, PATH: `${bin}${path.delimiter}${process.env.PATH ?? ""}` };
  try {
    const { stdout, stderr } = await promisify(execFile)(path.join(bin, "buf"), args, { cwd: ROOT, env });
    return stdout + stderr;
  } catch (error) {
    const { stdout = "", stderr = "" } = error as { stdout?: string; stderr?: string };
    throw new Error(`buf ${args.join(" ")} failed:\n${stdout}${stderr}`, { cause: error });
  }
}

async function main(): Promise<void> {
  const differences = await checkGenerated();
  for (const { file, kind } of differences) console.error(`gen/${file}: ${kind}`);
  if (differences.length > 0) {
    console.error("gen/ is not what proto/ says; run: npm run generate");
    process.exitCode = 1;
  } else {
    console.log("gen/ is up to date");
  }
}

if (process.argv[1] && import.meta.url === pathToFileURL(process.argv[1]).href) await main();
