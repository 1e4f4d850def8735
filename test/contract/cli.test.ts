import assert from "node:assert/strict";
import type { ChildProcessByStdio } from "node:child_process";
import { spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, existsSync, openSync } from "node:fs";
import type { Readable } from "node:stream";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { createPresenceClient } from "../../src/client/index.js";
import type { RollcallServer } from "../../src/server/server.js";
import { startTestServer } from "../support/server.js";

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));

type Child = ChildProcessByStdio<null, Readable, Readable>;

describe("the command line, as processes", () => {
  // Several processes after one another, each of which takes its time to start.
  let server: RollcallServer;
  const children = new Set<Child>();

  before(async () => {
    server = await startTestServer({ presenceTimeout: 60_000 });
  });

  afterEach(() => {
    for (const child of children) child.kill("SIGKILL");
  });

  after(() => server.close());

  function start(args: string[], env: Record<string, string> = {}): Child {
    const { PATH = "" } = process.env;
    const child = spawn(process.execPath, [MAIN, ...args], {
      stdio: ["ignore", "pipe", "pipe"],
      env: { PATH, TZ: "UTC", ROLLCALL_ADDRESS: server.address, ...env },
    });
    children.add(child);
    child.once("exit", () => children.delete(child));
    return child;
  }

  async function run(args: string[], env: Record<string, string> = {}) {
    const child = start(args, env);
    const [out, err, [code, signal]] = await Promise.all([
      text(child.stdout),
      text(child.stderr),
      once(child, "close"),
    ]);
    return { code: code as number, signal: signal as string | null, out, err };
  }

  /** A child's output so far, and a wait for more of it. */
  function outputOf(child: Child) {
    let output = "";
    child.stdout.setEncoding("utf8").on("data", (chunk: string) => {
      output += chunk;
    });
    return {
      lines: () => output.split("\n").slice(0, -1),
      async until(pattern: RegExp): Promise<void> {
        while (!pattern.test(output)) await once(child.stdout, "data");
      },
    };
  }

  it("tells the seed's story in two terminals", async () => {
    const anna = start(["watch", "chat_room", "--user", "anna"]);
    const screen = outputOf(anna);
    await screen.until(/1 online/);

    const pending = await run(["set", "chat_room", "Mode=Happy", "Mic=False", "--user", "tony"]);
    assert.deepEqual([pending.code, pending.err], [0, ""]);
    assert.match(pending.out, /^tony is not in chat_room; pending until tony joins.*: Mic=False Mode=Happy\n$/);
    assert.equal((await run(["get", "chat_room", "tony"])).code, 3);

    const tony = start(["watch", "chat_room", "--user", "tony", "--set", "Score=1", "--json"]);
    const tonysScreen = outputOf(tony);
    await tonysScreen.until(/"snapshot"/);
    await screen.until(/tony {2}Mic=False Mode=Happy Score=1/);

    const set = await run(["set", "chat_room", "Mic=True"], { ROLLCALL_USER: "tony" });
    assert.match(set.out, /^tony in chat_room: Mic=True Mode=Happy Score=1 \(revision \d+\)\n$/);
    await screen.until(/tony {2}Mic=True Mode=Happy Score=1 {2}\(changed Mic\)/);
    assert.deepEqual((await run(["get", "chat_room", "tony"])).out, "Mic=True\nMode=Happy\nScore=1\n");
    assert.deepEqual((await run(["who", "chat_room", "--states"])).out, "anna\ntony  Mic=True Mode=Happy Score=1\n");
    assert.deepEqual((await run(["who", "chat_room", "--count"])).out, "2\n");
    assert.deepEqual((await run(["where", "tony"])).out, "message  chat_room  Mic=True Mode=Happy Score=1\n");

    await run(["rm", "chat_room", "Mode", "Score", "--user", "tony"]);
    await screen.until(/tony {2}Mic=True {2}\(removed Mode, Score\)/);

    tony.kill("SIGINT");
    assert.deepEqual(await once(tony, "close"), [0, null]);
    await screen.until(/tony left/);
    anna.kill("SIGTERM");
    assert.deepEqual(await once(anna, "close"), [0, null]);
    for (const line of screen.lines()) assert.match(line, /^\d\d:\d\d:\d\d {2}\S/);
    assert.equal((await run(["who", "chat_room", "--count"])).out, "0\n");
  });

  it("prints lines of JSON that can be read back, revisions for --expect included", async () => {
    const presence = createPresenceClient({ address: server.address, userId: "тони" });
    await presence.channel("json").subscribe({ initialStates: { "клю ч": "\u001b[31m\n" } }).ready;
    const got = await run(["get", "json", "тони", "--json"]);
    const { userId, states, revision } = JSON.parse(got.out);
    assert.deepEqual([userId, states], ["тони", { "клю ч": "\u001b[31m\n" }]);
    const expecting = ["set", "json", "a=1", "--user", "тони", "--json", "--expect"];
    assert.equal((await run([...expecting, revision])).code, 0);
    const late = await run([...expecting, revision]);
    assert.deepEqual([late.code, late.out], [4, ""]);
    const { error } = JSON.parse(late.err);
    assert.deepEqual([error.reason, error.currentState.states.a], ["STATE_REVISION_MISMATCH", "1"]);
    await presence.close();
  });

  it("says in one line what is wrong, and ends with the code for it", async () => {
    const [field, key, usage, unreachable] = await Promise.all([
      run(["set", "", "a=1"]),
      run(["set", "room", `a=${"x".repeat(5000)}`]),
      run(["set", "room"]),
      run(["who", "room", "--address", "127.0.0.1:1"]),
    ]);
    assert.deepEqual([field.code, key.code, usage.code, unreachable.code], [2, 2, 2, 6]);
    assert.match(field.err, /^rollcall: INVALID_CHANNEL_NAME: .*channel\.name.*\n$/);
    assert.match(key.err, /^rollcall: STATE_VALUE_SIZE_OVERFLOW: .*4096.*\n$/);
    assert.match(usage.err, /^rollcall: missing required argument 'key=value'\n$/);
    assert.match(unreachable.err, /^rollcall: no server answers at 127\.0\.0\.1:1 \(.*ECONNREFUSED.*rollcall serve\n$/);
  });

  it("leaves when the terminal is closed, which sends SIGHUP", async () => {
    for (const args of [["watch", "hung_up"], ["feed"]]) {
      const child = start([...args, "--user", "anna", "--json"]);
      await outputOf(child).until(/"subscribed"/);
      child.kill("SIGHUP");
      assert.deepEqual(await once(child, "close"), [0, null]);
    }
    assert.equal((await run(["who", "hung_up", "--count"])).out, "0\n");
  });

  it("says in one line that its output cannot be written, and leaves", async function () {
    if (!existsSync("/dev/full")) {
      console.log("skipped: this system has no /dev/full");
      this.skip();
    }
    const { PATH = "" } = process.env;
    const full = openSync("/dev/full", "w");
    try {
      for (const args of [
        ["watch", "full"],
        ["feed"],
        ["who", "full", "--count"],
        ["set", "full", "a=1"],
        ["--help"],
      ]) {
        const child = spawn(process.execPath, [MAIN, ...args], {
          stdio: ["ignore", full, "pipe"],
          env: { PATH, ROLLCALL_ADDRESS: server.address, ROLLCALL_USER: "anna" },
        });
        const [err, [code]] = await Promise.all([text(child.stderr!), once(child, "close")]);
        assert.equal(code, 7, args.join(" "));
        assert.match(err, /^rollcall: standard output: ENOSPC.*\n$/, args.join(" "));
      }
    } finally {
      closeSync(full);
    }
    assert.equal((await run(["who", "full", "--count"])).out, "0\n");
  });

  it("leaves quietly when nobody reads its output any more", async () => {
    const watch = start(["watch", "piped", "--user", "anna"]);
    const screen = outputOf(watch);
    await screen.until(/anna /);
    await using presence = createPresenceClient({ address: server.address, userId: "tony" });
    const channel = presence.channel("piped");
    await channel.subscribe().ready;
    await screen.until(/tony /);
    let isOpen = true;
    const closed = once(watch, "close").finally(() => {
      isOpen = false;
    });
    const err = text(watch.stderr);
    watch.stdout.destroy();
    // It finds out when it writes. A line that is written while the pipe closes may still be accepted, so one is not enough.
    for (let n = 0; isOpen; n++) await channel.setState({ n: String(n) });
    assert.deepEqual([await closed, await err], [[0, null], ""]);
    assert.deepEqual((await run(["who", "piped"])).out, "tony\n");
  });

  it("serves what the other commands ask for, until it is told to stop", async () => {
    const serve = start(["serve", "--listen", "127.0.0.1:0"]);
    const screen = outputOf(serve);
    await screen.until(/listening on 127\.0\.0\.1:\d+/);
    const address = /listening on (\S+)/.exec(screen.lines().join("\n"))?.[1] ?? "";
    assert.deepEqual((await run(["who", "anywhere", "--count", "--address", address])).out, "0\n");
    serve.kill("SIGTERM");
    assert.deepEqual(await once(serve, "close"), [0, null]);
  });
});
