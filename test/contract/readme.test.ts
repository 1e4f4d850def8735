import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import type { RollcallServer } from "../../src/server/server.js";
import { connect, message } from "../support/calls.js";
import { Listener } from "../support/listener.js";
import { codeBlock } from "../support/readme.js";
import { startTestServer } from "../support/server.js";

const root = fileURLToPath(new URL("../../", import.meta.url));
const readme = readFileSync(`${root}README.md`, "utf8");
const DEFAULT_ADDRESS = "127.0.0.1:50051";

/** One command of a console block, and the lines that it is said to print. */
interface Step {
  readonly command: string;
  readonly prints: string[];
}

function steps(marker: string): Step[] {
  const found: Step[] = [];
  for (const line of codeBlock(readme, { marker: `test: ${marker}` })
    .code.trimEnd()
    .split("\n")) {
    if (line.startsWith("$ ")) found.push({ command: line.slice(2), prints: [] });
    else found.at(-1)!.prints.push(line);
  }
  return found;
}

/** A shell command in a process group of its own, and what it has printed so far. */
class Running {
  #printed = "";
  readonly ended: Promise<unknown>;
  readonly #child: ChildProcess;
  #changed: () => void = () => {};

  constructor(command: string, environment: Record<string, string>) {
    this.#child = spawn("bash", ["-c", command], {
      cwd: root,
      detached: true,
      env: { ...process.env, NO_COLOR: "1", npm_config_loglevel: "error", ...environment },
      stdio: ["ignore", "pipe", "pipe"],
    });
    for (const stream of [this.#child.stdout!, this.#child.stderr!]) {
      stream.setEncoding("utf8").on("data", (text: string) => {
        this.#printed += text;
        this.#changed();
      });
    }
    this.ended = once(this.#child, "close").then(() => this.#changed());
  }

  /** Without the time at which a pending state is forgotten, which differs from run to run. */
  get output(): string {
    return this.#printed.replaceAll(/, forgotten at \d\d:\d\d:\d\d/g, "");
  }

  /** Resolves when the output has this text; rejects when the command ends without. */
  async printed(text: string): Promise<void> {
    let over = false;
    this.ended.then(() => {
      over = true;
    });
    while (!this.output.includes(text)) {
      if (over) throw new Error(`ended without printing "${text}":\n${this.output}`);
      await new Promise<void>((resolve) => {
        this.#changed = resolve;
      });
    }
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    if (this.#child.exitCode === null && this.#child.signalCode === null) process.kill(-this.#child.pid!, signal);
    await this.ended;
  }
}

/** Texts with revisions counted from the first one, which must be as large as a server's. */
function withoutBegin(texts: readonly string[]): string[] {
  let begin: number | undefined;
  return texts.map((text) =>
    text.replaceAll(/\(revision (\d{14})\)/g, (_, revision) => {
      begin ??= Number(revision);
      return `(revision +${Number(revision) - begin})`;
    }),
  );
}

describe("README", () => {
  let server: RollcallServer;
  let environment: Record<string, string>;
  let running: Running[];

  beforeEach(async () => {
    server = await startTestServer();
    environment = { ROLLCALL_ADDRESS: server.address };
    running = [];
  });

  afterEach(async () => {
    for (const command of running) await command.end("SIGKILL");
    await server.close();
  });

  function run(command: string): Running {
    const started = new Running(command.replaceAll(DEFAULT_ADDRESS, server.address), environment);
    running.push(started);
    return started;
  }

  it("the story in three terminals prints what is shown", async () => {
    const [watching] = steps("anna");
    const anna = run(watching!.command);
    await anna.printed("anna  (no state)");
    let tony: Running | undefined;
    const printed: string[] = [];
    const shown: string[] = [];
    for (const { command, prints } of steps("tony")) {
      if (command.endsWith(" &")) {
        tony = run(command.slice(0, -2));
        await anna.printed("tony  Mic=False Mode=Happy");
      } else if (command === "kill -INT %1") {
        await tony!.end("SIGINT");
        await anna.printed("tony left");
      } else {
        const step = run(command);
        await step.ended;
        printed.push(step.output.trimEnd());
        shown.push(prints.join("\n"));
      }
    }
    assert.deepEqual(withoutBegin(printed), withoutBegin(shown));
    const lines = anna.output.trimEnd().replaceAll(/^\d\d:\d\d:\d\d/gm, "12:00:00");
    assert.deepEqual(lines.split("\n"), watching!.prints);
    await anna.end("SIGINT");
  });

  it("buf curl over reflection answers what is shown", async () => {
    const { client, channel } = connect(server.address);
    await new Listener(client, { channel: message("chat_room"), userId: "anna" }).opened();
    const [step] = steps("curl");
    const curl = run(step!.command);
    await curl.ended;
    const anonymous = (json: string) => JSON.parse(json.replace(/"joinTime":\s*"[^"]*"/, '"joinTime":"…"'));
    assert.deepEqual(anonymous(curl.output), anonymous(step!.prints.join("")));
    channel.close();
  });

  /** Writes an example to a file, checks its types, and runs it; gives it and how to tidy up. */
  async function runExample(marker: string): Promise<{ example: Running; remove: () => void }> {
    const file = `${root}dist/readme_example_${marker}.ts`;
    const { code } = codeBlock(readme, { marker: `test: ${marker}` });
    writeFileSync(file, code.replace(DEFAULT_ADDRESS, server.address));
    const types = run(
      `npx tsc --ignoreConfig --noEmit --strict --skipLibCheck --module nodenext --target es2023 --types node ${file}`,
    );
    await types.ended;
    assert.equal(types.output, "", "it passes the type check");
    return { example: run(`node --import tsx ${file}`), remove: () => rmSync(file) };
  }

  it("the TypeScript client's example does what its comments say", async () => {
    const { example, remove } = await runExample("client");
    const { client, channel } = connect(server.address);
    try {
      await example.printed("PRESENCE_USER_NOT_EXIST");
      assert.match(example.output, /\[ \[ 'tony', \{ M\w+: '\w+', M\w+: '\w+' \} \] \]/);
      const anna = new Listener(client, { channel: message("chat_room"), userId: "anna", initialStates: { a: "1" } });
      await anna.opened();
      await example.printed("anna { a: '1' }");
      await client.leaveChannel({ channel: message("chat_room"), userId: "anna" });
      await example.ended;
      assert.equal((await client.listOnlineUsers({ channel: message("chat_room") })).totalSize, 0);
    } finally {
      channel.close();
      remove();
    }
  });

  it("the feed's example tells a back end who plays", async () => {
    const { client, channel } = connect(server.address);
    const early = new Listener(client, { channel: message("game_1"), userId: "tony" });
    await early.opened();
    const { example, remove } = await runExample("feed");
    try {
      await example.printed("game_1 [ 'tony' ]");
      await client.joinChannel({ channel: message("chat_room"), userId: "anna" });
      await client.joinChannel({ channel: message("game_1"), userId: "anna" });
      await example.printed("anna joined game_1");
      await client.leaveChannel({ channel: message("game_1"), userId: "anna" });
      early.cancel();
      await example.printed("game_1 is empty");
      assert.doesNotMatch(example.output, /chat_room/);
    } finally {
      channel.close();
      remove();
    }
  });

  it("npm start runs a server that says where it listens, and stops on SIGTERM", async () => {
    const started = run("npm start --silent -- --listen 127.0.0.1:0");
    await started.printed("Rollcall is listening on 127.0.0.1:");
    await started.printed("Stop it with Ctrl-C.");
    await started.end("SIGTERM");
    assert.match(started.output, /"msg":"stopped"/);
  });

  it("a server with --dev-secret takes the token that is made as shown", async () => {
    const { code } = codeBlock(readme, { marker: "test: token server" });
    const serving = run(`${code.trim()} --listen 127.0.0.1:0`);
    await serving.printed("Stop it with Ctrl-C.");
    const [, address] = /Rollcall is listening on (127\.0\.0\.1:\d+)/.exec(serving.output)!;
    const shown = steps("token");
    const typed = run(`export ROLLCALL_ADDRESS=${address}\n${shown.map(({ command }) => command).join("\n")}`);
    await typed.ended;
    assert.equal(typed.output.trimEnd(), shown.flatMap(({ prints }) => prints).join("\n"));
    const without = run(`ROLLCALL_ADDRESS=${address} ${shown.at(-1)!.command} --user tony`);
    await without.ended;
    assert.match(without.output, /NOT_AUTHENTICATED/, "it requires a token");
    await serving.end("SIGTERM");
  });

  it("buf makes stubs of all that the protos import from the template shown", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "rollcall-test-"));
    try {
      const template = path.join(folder, "my.gen.yaml");
      writeFileSync(template, codeBlock(readme, { marker: "test: buf template" }).code);
      const { code } = codeBlock(readme, { marker: "test: buf" });
      const generating = run(code.trim().replace("my.gen.yaml", `${template} --output ${folder}`));
      await generating.ended;
      assert.equal(generating.output, "");
      for (const stub of ["presence/v1/presence_service", "buf/validate/validate", "google/rpc/status"]) {
        assert.ok(existsSync(path.join(folder, "stubs", `${stub}_pb.js`)), stub);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("npm pack puts into the file what is said", async () => {
    const packing = run("npm pack --dry-run --json --silent");
    await packing.ended;
    const [packed] = JSON.parse(packing.output) as { filename: string; files: { path: string }[] }[];
    assert.ok(readme.includes(packed!.filename));
    const parts = new Set(packed!.files.map((file) => file.path.split("/")[0]));
    assert.deepEqual([...parts].sort(), ["README.md", "dist", "package.json", "proto", "third_party"]);
    for (const needed of ["dist/src/client/index.js", "dist/src/client/index.d.ts", "dist/src/cli/main.js"]) {
      assert.ok(
        packed!.files.some((file) => file.path === needed),
        needed,
      );
    }
  });

  it("every link leads somewhere", () => {
    const targets = [...readme.matchAll(/\]\(([^)#]+)\)/g)].map(([, target]) => target!);
    assert.ok(targets.length > 5);
    for (const target of targets) assert.ok(existsSync(`${root}${target}`), target);
  });
});
