import assert from "node:assert/strict";
import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { fileURLToPath } from "node:url";
import { connect, message } from "../support/calls.js";
import { endChild } from "../support/child.js";

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));

/** More lines than a pipe or a socket of the system takes unread. */
const MANY_CALLS = 3000;

const room = message("chat_room");

/** `rollcall serve` as a process: its signals, its standard output and its standard error. */
describe("rollcall serve, as a process", () => {
  let child: ChildProcess | undefined;
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "rollcall-process-"));
  });
  afterEach(async () => {
    if (child) await endChild(child);
    child = undefined;
    rmSync(folder, { recursive: true });
  });

  type Output = "ignore" | "pipe" | number;

  function serve(stdout: Output, stderr: Output, ...flags: string[]): ChildProcess {
    const args = [MAIN, "serve", "--listen", "127.0.0.1:0", "--rate-limit", "0", ...flags];
    child = spawn(process.execPath, args, { stdio: ["ignore", stdout, stderr] });
    return child;
  }

  /** Resolves with what a stream of the child said, once it matches. */
  async function said(stream: NodeJS.ReadableStream, pattern: RegExp): Promise<RegExpExecArray> {
    let text = "";
    for (;;) {
      const match = pattern.exec(text);
      if (match) return match;
      const [chunk] = await Promise.race([
        once(stream, "data"),
        once(child!, "close").then(() => assert.fail(`the server ended: ${text}`)),
      ]);
      text += chunk;
    }
  }

  async function callMany(address: string): Promise<void> {
    const { client, channel } = connect(address, "tony");
    for (let made = 0; made < MANY_CALLS; made += 100) {
      await Promise.all(Array.from({ length: 100 }, () => client.setState({ channel: room })));
    }
    channel.close();
  }

  /** Ends the server; gives its exit code or signal. */
  async function end(signal: NodeJS.Signals): Promise<unknown> {
    const gone = once(child!, "exit");
    child!.kill(signal);
    const [code, endedBy] = await gone;
    return code ?? endedBy;
  }

  it("answers calls, and ends, while nobody reads its log", async () => {
    const { stdout, stderr } = serve("pipe", "pipe", "--log-level", "debug");
    const [, address] = await said(stdout!, /listening on (\S+)\n/);
    stderr!.pause();
    await callMany(address!);
    assert.equal(await end("SIGTERM"), 0);
  });

  it("loses no line to a reader that is late", async () => {
    const { stdout, stderr } = serve("pipe", "pipe", "--log-level", "debug");
    const [, address] = await said(stdout!, /listening on (\S+)\n/);
    await callMany(address!);
    let log = "";
    stderr!.on("data", (chunk) => {
      log += chunk;
    });
    const closed = once(stderr!, "close");
    assert.equal(await end("SIGTERM"), 0);
    await closed;
    const lines = log
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).msg);
    assert.equal(lines.filter((msg) => msg === "call").length, MANY_CALLS);
    assert.deepEqual([lines[0], ...lines.slice(-2)], ["listening", "draining", "stopped"]);
  });

  it("writes every line to a file", async () => {
    const log = path.join(folder, "log");
    const file = openSync(log, "w");
    const { stdout } = serve("pipe", file);
    closeSync(file);
    await said(stdout!, /Ctrl-C/);
    assert.equal(await end("SIGTERM"), 0);
    const lines = readFileSync(log, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).msg);
    assert.deepEqual(lines, ["listening", "draining", "stopped"]);
  });

  it("S24 serves on for its delay before it drains", async () => {
    const { stdout, stderr } = serve("pipe", "pipe", "--shutdown-delay", "300ms");
    await said(stdout!, /Ctrl-C/);
    let log = "";
    stderr!.on("data", (chunk) => {
      log += chunk;
    });
    const closed = once(stderr!, "close");
    const began = performance.now();
    assert.equal(await end("SIGTERM"), 0);
    assert.ok(performance.now() - began >= 300);
    await closed;
    const lines = log
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).msg);
    assert.deepEqual(lines.slice(-3), ["not serving", "draining", "stopped"]);
  });

  it("goes on when the readers of its output and of its log are gone", async () => {
    const { stdout, stderr } = serve("pipe", "pipe", "--log-level", "debug");
    const [, address] = await said(stderr!, /"address":"([^"]+)"/);
    stdout!.destroy();
    stderr!.destroy();
    await callMany(address!);
    assert.equal(await end("SIGTERM"), 0);
  });

  it("starts, and ends, while nobody reads its output", async function () {
    if (process.platform === "win32") {
      console.log("      no FIFOs on Windows: not tried");
      this.skip();
    }
    const fifo = path.join(folder, "fifo");
    execFileSync("mkfifo", [fifo]);
    // Open for both, it has a reader, and one that never reads.
    const full = openSync(fifo, "r+");
    const filler = spawn("sh", ["-c", "dd if=/dev/zero bs=65536 count=1 status=none"], {
      stdio: ["ignore", full, "ignore"],
    });
    await once(filler, "exit");
    const { stderr } = serve(full, "pipe");
    closeSync(full);
    const [, address] = await said(stderr!, /"address":"([^"]+)"/);
    const { client, channel } = connect(address!, "tony");
    await client.setState({ channel: room });
    channel.close();
    assert.equal(await end("SIGTERM"), 0);
  });

  it("takes TCP probes, which connect and say nothing, without a log line", async () => {
    const log = path.join(folder, "log");
    const file = openSync(log, "w");
    const { stdout } = serve("pipe", file);
    closeSync(file);
    const [, address] = await said(stdout!, /listening on (\S+)\n/);
    const port = Number(address!.split(":")[1]);
    for (let i = 0; i < 50; i++) {
      const probe = connectTcp(port, "127.0.0.1");
      await once(probe, "connect");
      if (i % 2 === 0) probe.destroy();
      else probe.resetAndDestroy();
    }
    const { client, channel } = connect(address!, "tony");
    await client.setState({ channel: room });
    channel.close();
    assert.equal(await end("SIGTERM"), 0);
    const lines = readFileSync(log, "utf8")
      .trimEnd()
      .split("\n")
      .map((line) => JSON.parse(line).msg);
    assert.deepEqual(lines, ["listening", "draining", "stopped"]);
  });

  it("logs a line at SIGHUP when it has no certificates, and goes on", async () => {
    const { stdout, stderr } = serve("pipe", "pipe");
    const [, address] = await said(stdout!, /listening on (\S+)\n/);
    child!.kill("SIGHUP");
    await said(stderr!, /nothing to reload/);
    const { client, channel } = connect(address!, "tony");
    await client.setState({ channel: room });
    channel.close();
    assert.equal(await end("SIGTERM"), 0);
  });
});
