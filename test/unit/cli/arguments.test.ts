import assert from "node:assert/strict";
import type { Command, Option } from "commander";
import type { Io } from "../../../src/cli/io.js";
import { createProgram } from "../../../src/cli/program.js";
import { serveCommand } from "../../../src/cli/serve.js";
import { SETTINGS } from "../../../src/server/settings.js";
import { rollcall } from "./fake_io.js";

const commands = createProgram({} as Io, serveCommand()).commands;
const clientCommands = commands.filter((command) => command.name() !== "serve");

/** What each command needs besides options. */
const ARGUMENTS: Readonly<Record<string, string[]>> = {
  serve: [],
  watch: ["room"],
  set: ["room", "a=1"],
  get: ["room", "anna"],
  rm: ["room"],
  who: ["room"],
  where: ["anna"],
  feed: [],
  load: [],
  token: [],
};

/** A value that each option accepts; undefined: it is a switch. */
const GOOD: Readonly<Record<string, string | undefined>> = {
  "--act-as": "a",
  "--act-as-name": "a",
  "--address": "127.0.0.1:1",
  "--allow": "a=read",
  "--allow-name": "a=read",
  "--app": "a",
  "--audience": "a",
  "--channel": "a",
  "--channels": "1",
  "--connections": "1",
  "--count": undefined,
  "--dev-secret": undefined,
  "--device": "a",
  "--expect": "1",
  "--expires": "1h",
  "--filter": "a=1",
  "--for": "1s",
  "--include-self": undefined,
  "--issuer": "a",
  "--json": undefined,
  "--prefix": "a",
  "--quiet": undefined,
  "--rate": "1",
  "--replace": undefined,
  "--secret-file": "a",
  "--set": "a=1",
  "--snapshot": undefined,
  "--states": undefined,
  "--timeout": "1s",
  "--token": "a",
  "--type": "message",
  "--user": "a",
  "--user-id": "a",
  "--users": "1",
};

/** Options of which each one adds to those before. */
const REPEATABLE = new Set([
  "watch --set",
  "who --filter",
  "who --user-id",
  "feed --channel",
  "token --allow",
  "token --allow-name",
  "token --act-as",
  "token --act-as-name",
  "serve --channel",
]);

const TIMES = [
  "0",
  "0s",
  "-1",
  "-1s",
  "NaN",
  "Infinity",
  "",
  " ",
  "5",
  "5 s",
  "1e9s",
  "99999999m",
  `${"9".repeat(400)}s`,
];
const COUNTS = ["0", "-1", "NaN", "1.5", "", " ", "0x10", "1e3", "10001", "9".repeat(400)];
const PAIRS = ["a", "=b", ""];

/** Values that each option that reads its value refuses. */
const BAD: Readonly<Record<string, string[]>> = {
  "--address": [
    ...[
      "",
      " ",
      "127.0.0.1:99999",
      "127.0.0.1:0",
      "127.0.0.1:-1",
      "127.0.0.1:port",
      "127.0.0.1:",
      "127.0.0.1",
      "localhost",
    ],
    ...[
      "999.1.1.1:1",
      "127.1:80",
      " 127.0.0.1:1",
      "127.0.0.1 :1",
      "127.0.0.1:1 ",
      ":50051",
      "::1",
      "::1:50051",
      "[::1]",
      "[::1]:",
    ],
    ...["[::1]:99999", "[x]:1", "[]:1", "[::1", "::1]:1", "https://", "https://:443", "https://host", "https://host:0"],
    ...[
      "https://host:1/path",
      "https://user@host:1",
      "ftp://host:1",
      "://host:1",
      "https:/host:1",
      "host:1:2",
      "1e1.0.0.1:1e1",
    ],
  ],
  "--allow": ["a", "=read", "a=fly", ""],
  "--allow-name": ["a", "=read", "a=fly", ""],
  "--channels": COUNTS,
  "--connections": COUNTS,
  "--expect": ["", " ", "-1", "1.0", "NaN", "0x1", "18446744073709551616"],
  "--expires": ["0s", "-1s", "NaN", "", "5", "366d", "1.5h"],
  "--filter": PAIRS,
  "--for": TIMES,
  "--rate": ["0", "-1", "NaN", "Infinity", "", "100001", "1e3", "9".repeat(400)],
  "--set": PAIRS,
  "--timeout": TIMES,
  "--token": ["", " ", "a b", "ключ"],
  "--type": ["", "video", "Message"],
  "--user": [""],
  "--users": COUNTS,
};

/** Options that belong to one another or exclude one another. */
const CONTRADICTIONS: [string[], RegExp][] = [
  [["who", "room", "--count", "--states"], /'-c, --count' cannot be used with option '-s, --states'/],
  [["watch", "room", "--quiet", "--set", "a=1"], /'-q, --quiet' cannot be used with option '-s, --set/],
  [["watch", "room", "--set", "a=1", "--set", "a=2"], /the key "a" is given twice/],
  [["who", "room", "--filter", "a=1", "--filter", "a=1"], /the key "a" is given twice/],
  [["set", "room", "a=1", "a=2"], /the key "a" is given twice/],
  [["rm", "room", "a", "--all"], /unknown option '--all'/],
  [["feed", "--type", "stream"], /--type is the type of --channel, which is missing/],
  [["load", "--users", "1", "--channels", "2"], /--channels 2 is more than --users 1/],
  [["token", "--user", "a", "--dev-secret", "--secret-file", "x"], /--secret-file PATH or --dev-secret/],
  [["token", "--user", "a"], /--secret-file PATH or --dev-secret/],
  [["token", "--dev-secret"], /required option '-u, --user <id>' not specified/],
];

async function isRefused(args: readonly string[], message: RegExp): Promise<void> {
  const { code, out, err } = await rollcall([...args]);
  assert.deepEqual([code, out, err.length], [2, [], 1], `${args.join(" ")}\n${err.join("\n")}`);
  assert.match(err[0]!, message, args.join(" "));
}

/** An option with a value, as it is given. */
function given(command: Command, option: Option): string[] {
  const flag = option.long!;
  if (command.name() === "serve") {
    const setting = Object.values(SETTINGS).find((setting) => `--${setting.flag}` === flag)!;
    const byKind: Record<string, string> = {
      bytes: "1MiB",
      count: "10",
      address: "127.0.0.1:0",
      text: "x",
      switch: "true",
      channels: "a=announce-max:1",
    };
    if (setting.kind === "choice") return [flag, setting.choices[0]!];
    return [flag, setting.default ?? byKind[setting.kind] ?? "1s"];
  }
  assert.ok(Object.hasOwn(GOOD, flag), `no value for ${flag} in this test`);
  const value = GOOD[flag];
  return value === undefined ? [flag] : [flag, value];
}

describe("arguments of every command", () => {
  it("are all in the tables of this test", () => {
    assert.deepEqual(commands.map((command) => command.name()).sort(), Object.keys(ARGUMENTS).sort());
    const used = new Set(clientCommands.flatMap(({ options }) => options.map(({ long }) => long!)));
    assert.deepEqual([...used].sort(), Object.keys(GOOD).sort());
  });

  for (const command of commands) {
    const name = command.name();
    it(`${name}: an option that is given twice is refused, unless it adds to the first`, async () => {
      for (const option of command.options) {
        const setting = Object.values(SETTINGS).find(({ flag }) => name === "serve" && `--${flag}` === option.long);
        if (setting?.kind === "secret" || REPEATABLE.has(`${name} ${option.long}`)) continue;
        const once = given(command, option);
        await isRefused([name, ...ARGUMENTS[name]!, ...once, ...once], /is given twice; give it once/);
      }
    });
  }

  for (const command of clientCommands) {
    const name = command.name();
    it(`${name}: a wrong value is refused with what is allowed`, async () => {
      for (const { long, parseArg, variadic } of command.options) {
        if (!parseArg || variadic) continue;
        const isOwn = name === "token" && (long === "--act-as" || long === "--act-as-name");
        if (isOwn) continue;
        const values = BAD[long!];
        assert.ok(values, `no wrong values for ${long} in this test`);
        for (const value of values) {
          await isRefused(
            [name, ...ARGUMENTS[name]!, `${long}=${value}`],
            /give|allowed|must not|is not KEY=VALUE|whole number|a token is/i,
          );
        }
      }
    });

    it(`${name}: a missing value, missing and excess arguments, and unknown options are refused`, async () => {
      const needed = name === "token" ? ["--user", "a"] : [];
      for (const { long, required } of command.options) {
        if (required) await isRefused([name, ...ARGUMENTS[name]!, long!], /argument missing/);
      }
      await isRefused([name, ...needed, ...ARGUMENTS[name]!, "--nonsense"], /unknown option '--nonsense'/);
      const [first] = command.registeredArguments.filter(({ required }) => required);
      if (first) await isRefused([name], /missing required argument/);
      if (!command.registeredArguments.at(-1)?.variadic) {
        await isRefused([name, ...needed, ...ARGUMENTS[name]!, "excess"], /too many arguments/);
      }
    });
  }

  for (const [args, message] of CONTRADICTIONS) {
    it(`${args.join(" ")}: is refused`, () => isRefused(args, message));
  }

  it("accept every form of address that a client can connect to", async () => {
    const forms = [
      "127.0.0.1:1",
      "localhost:1",
      "[::1]:1",
      "http://127.0.0.1:1",
      "dns:///127.0.0.1:1",
      "unix:///nowhere",
    ];
    for (const address of forms) {
      const { code, err } = await rollcall(["who", "room", "--address", address, "--timeout", "3s"]);
      assert.equal(code, 6, `${address}: ${err.join("\n")}`);
    }
  });
});
