import assert from "node:assert/strict";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { networkInterfaces } from "node:os";
import { fileURLToPath } from "node:url";
import type { RollcallServer } from "../../src/server/server.js";
import { startTestServer } from "../support/server.js";

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));

const HUSH = "hush".repeat(10);

/** Runs `rollcall serve` to its end; sends SIGTERM once it has printed its banner. */
async function serve(flags: readonly string[], environment: Record<string, string> = {}) {
  const child = spawn(process.execPath, [MAIN, "serve", ...flags], {
    env: { ...process.env, ...environment },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const output = { stdout: "", stderr: "" };
  for (const name of ["stdout", "stderr"] as const) {
    child[name].setEncoding("utf8").on("data", (text: string) => {
      output[name] += text;
      if (output.stdout.includes("rollcall watch")) child.kill("SIGTERM");
    });
  }
  const [code] = await once(child, "close");
  return { code, ...output };
}

describe("rollcall serve, when it cannot", () => {
  let other: RollcallServer;

  before(async () => {
    other = await startTestServer();
  });
  after(() => other.close());

  const cases: readonly [what: string, flags: () => string[], says: RegExp, environment?: Record<string, string>][] = [
    [
      "a port in use",
      () => ["--listen", other.address],
      /^rollcall: 127\.0\.0\.1:\d+ is in use by another program; choose another with --listen/,
    ],
    [
      "a port in use for the metrics",
      () => ["--listen", "127.0.0.1:0", "--metrics", other.address],
      /is in use by another program/,
    ],
    ["an unknown flag", () => ["--lissten", "x"], /unknown option '--lissten'/],
    ["a bad address", () => ["--listen", "50051"], /"50051" is not HOST:PORT/],
    ["a duration out of range", () => ["--presence-timeout", "301s"], /301s is out of range; allowed: 0s to 300s/],
    [
      "a bad word in the environment",
      () => [],
      /ROLLCALL_SAME_USER.*"both" is not one of multi, single/,
      { ROLLCALL_SAME_USER: "both" },
    ],
    ["an address beyond this machine", () => ["--listen", "0.0.0.0:0"], /beyond this machine.*--trust-callers/],
    [
      "a secret that others can see",
      () => ["--token-secret", HUSH],
      /^rollcall: --token-secret: other users see the command line; use --token-secret-file or ROLLCALL_TOKEN_SECRET\n$/,
    ],
    ["the same in one word", () => [`--token-secret=${HUSH}`], /other users see the command line/],
    [
      "an empty secret",
      () => [],
      /^rollcall: ROLLCALL_TOKEN_SECRET: must not be empty\n$/,
      { ROLLCALL_TOKEN_SECRET: "" },
    ],
    [
      "settings that contradict each other",
      () => ["--listen", "127.0.0.1:0", "--max-state-bytes", "128KiB"],
      /cannot be set in one call: --max-request-bytes is 65536/,
    ],
  ];

  for (const [what, flags, says, environment] of cases) {
    it(`says in one line that it was given ${what}, and ends with code 2`, async () => {
      const { code, stdout, stderr } = await serve(flags(), environment);
      assert.equal(code, 2, stderr);
      assert.match(stderr, says);
      const lines = stderr.trimEnd().split("\n");
      assert.ok(lines.length === 1 || lines.slice(0, -1).every((line) => line.startsWith("{")), stderr);
      assert.doesNotMatch(stderr, /\n\s+at /, "no stack trace");
      assert.equal(stdout, "");
      assert.ok(!stderr.includes(HUSH), "the secret is repeated");
    });
  }
});

describe("rollcall serve on an IPv6 address that is in use", () => {
  it("writes the address in brackets", async function () {
    if (!Object.values(networkInterfaces()).some((all) => all?.some(({ address }) => address === "::1"))) {
      this.test!.title += " (skipped: this machine has no ::1)";
      this.skip();
    }
    const other = await startTestServer({ listen: { host: "::1", port: 0 } });
    const { stderr } = await serve(["--listen", other.address]);
    await other.close();
    assert.ok(stderr.startsWith(`rollcall: ${other.address} is in use by another program`), stderr);
  });
});

describe("rollcall serve with a deprecated setting", () => {
  it("runs, and logs a warning that names it", async () => {
    const { code, stderr } = await serve(["--listen", "127.0.0.1:0", "--wasted-connection-delay", "1s"]);
    assert.equal(code, 0, stderr);
    const lines = stderr.trimEnd().split("\n");
    const warnings = lines.map((line) => JSON.parse(line)).filter(({ level }) => level === 40);
    assert.deepEqual(
      warnings.map(({ flag, msg }) => ({ flag, msg })),
      [{ flag: "--wasted-connection-delay", msg: "deprecated setting has no effect" }],
    );
  });

  it("does not list it in the help", async () => {
    const { stdout } = await serve(["--help"]);
    assert.doesNotMatch(stdout, /wasted/);
  });
});
