import { spawnSync } from "node:child_process";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { Command, InvalidArgumentError } from "commander";

const ROOT = fileURLToPath(new URL("..", import.meta.url));

/** Where npm has put that Node: in its own cache, with nothing left in the repository. Undefined: it cannot be had. */
function nodeOf(version: string): string | undefined {
  const print = `--call=node --print process.execPath`;
  const { status, stdout } = spawnSync("npm", ["exec", "--yes", `--package=node@${version}`, print], {
    cwd: ROOT,
    stdio: ["ignore", "pipe", "inherit"],
    encoding: "utf8",
  });
  return status === 0 ? stdout.trim() : undefined;
}

const program = new Command("npm run test:node --")
  .description("Runs the tests on another Node than this one; npm brings it.")
  .argument("<version>", "a line or a release: 22, 24.18.1", (text: string) => {
    if (!/^\d+(\.\d+){0,2}$/.test(text))
      throw new InvalidArgumentError("A line or a release of Node, as 22 or 24.18.1.");
    return text;
  })
  .argument("[file...]", "test files (default: all)")
  .parse();
const [version, given] = program.processedArgs as [string, string[]];
const files = given.length > 0 ? given : ["test/**/*.test.ts"];

const node = nodeOf(version);
if (node === undefined) {
  console.error(`Node ${version} cannot be had from npm's registry; nothing was tested on it`);
  process.exitCode = 1;
} else {
  console.log(`Node ${spawnSync(node, ["--version"], { encoding: "utf8" }).stdout.trim()}`);
  // By the path alone: what npm says to a command that it runs would be heard by the commands that the tests run.
  const { status } = spawnSync(path.join(ROOT, "node_modules", ".bin", "mocha"), files, {
    cwd: ROOT,
    stdio: "inherit",
    env: { ...process.env, PATH: `${path.dirname(node)}${path.delimiter}${process.env.PATH ?? ""}` },
  });
  process.exitCode = status ?? 1;
}
