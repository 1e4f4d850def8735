import { type ChildProcess, execFile, spawn } from "node:child_process";
import { mkdirSync, writeFileSync } from "node:fs";
import path from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import { endChild } from "../support/child.js";
import { Checks } from "./checks.js";
import { checkHttp2, H2SPEC } from "./h2spec.js";
import { ROOT } from "./languages.js";
import { shortConnections } from "./short_connections.js";

const run = promisify(execFile);

/** The tools that must work with the server, as the Go module proxy has them. */
const MODULES = [
  "github.com/fullstorydev/grpcurl/cmd/grpcurl@v1.9.3",
  "github.com/grpc-ecosystem/grpc-health-probe@v0.4.40",
  "github.com/bojand/ghz/cmd/ghz@v0.121.0",
  H2SPEC,
];

/** Built from a module of its own: `go install` asks the proxy for the list of its versions, which it refuses. */
const EVANS = "github.com/ktr0731/evans";
const EVANS_MODULE = `module evans\n\ngo 1.24\n\nrequire ${EVANS} v0.10.11\n`;

/** How long the tools may take to build, in ms: the first time packages are fetched. */
const BUILD_MS = 15 * 60_000;

/** How long one use of a tool may take, in ms. */
const USE_MS = 30_000;

const SERVICE = "presence.v1.PresenceService";
const SERVICES = [SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection"];
const ROOM = { type: "CHANNEL_TYPE_MESSAGE", name: "chat_room" };

/** What a tool said, and whether it was content. */
interface Said {
  readonly good: boolean;
  readonly text: string;
}

/**
 * Builds grpcurl, evans, ghz, h2spec and grpc_health_probe into `cache` and uses each against a real server. Prints a line per tool.
 * Resolves with whether all of it went well; skips, with the reason, where Go is missing.
 */
export async function useTools(cache: string): Promise<boolean> {
  try {
    await run("go", ["version"]);
  } catch {
    console.log(
      "skipped  grpcurl, evans, ghz, h2spec, grpc_health_probe: `go version` does not work; install Go 1.24 or newer",
    );
    return true;
  }
  mkdirSync(cache, { recursive: true });
  try {
    for (const module of MODULES) {
      await run("go", ["install", module], { env: { ...process.env, GOBIN: cache }, timeout: BUILD_MS, cwd: cache });
    }
    await buildEvans(cache);
  } catch (error) {
    console.log(`FAILED   the tools do not build: ${(error as Error).message}`);
    return false;
  }
  const { child, address } = await startServe();
  const use = (tool: string, ...args: string[]) => say(path.join(cache, tool), args);
  const checks = new Checks();
  const probe = (...args: string[]) => use("grpc-health-probe", `-addr=${address}`, "-connect-timeout=2s", ...args);
  try {
    await checks.check("grpcurl", () => useGrpcurl((...args) => use("grpcurl", "-plaintext", ...args), address));
    await checks.check("evans", () =>
      useEvans((...args) => use("evans", "-r", ...evansTarget(address), "cli", ...args)),
    );
    await checks.check("ghz", async () => {
      const data = JSON.stringify({ channel: ROOM, userId: "anna", states: { Mode: "Happy" } });
      const args = ["--insecure", "--call", `${SERVICE}/SetState`, "-d", data, "-n", "300", "-c", "10"];
      const { text } = await use("ghz", ...args, "--format", "json", address);
      const { count, statusCodeDistribution } = JSON.parse(text);
      expect(count === 300 && statusCodeDistribution.OK === 300, "300 calls, all OK", text.slice(0, 500));
    });
    await checks.check("h2spec", () => checkHttp2(cache, address));
    await checks.check("grpcurl opens 30 connections in a row", () =>
      shortConnections(async () => {
        const { good, text } = await use("grpcurl", "-plaintext", address, "list");
        expect(good, "a list", text);
      }),
    );
    await checks.check("grpc_health_probe opens 30 connections in a row", () =>
      shortConnections(async () => {
        const { good, text } = await probe();
        expect(good, "SERVING", text);
      }),
    );
    await checks.check("grpc_health_probe", async () => {
      for (const service of ["", SERVICE]) {
        const { good: serving, text } = await probe(`-service=${service}`);
        expect(serving && text.includes("SERVING"), `"${service}" to be SERVING`, text);
      }
      await endChild(child, "SIGTERM");
      const after = await probe();
      expect(!after.good, "no SERVING after SIGTERM", after.text);
    });
  } finally {
    await endChild(child);
  }
  return checks.passed;
}

async function useGrpcurl(grpcurl: (...args: string[]) => Promise<Said>, address: string): Promise<void> {
  const call = (method: string, data: object, ...options: string[]) =>
    grpcurl(...options, "-d", JSON.stringify({ channel: ROOM, ...data }), address, `${SERVICE}/${method}`);

  const list = await grpcurl(address, "list");
  expect(
    SERVICES.every((service) => list.text.includes(service)),
    "list to name all services",
    list.text,
  );
  const described = await grpcurl(address, "describe", `${SERVICE}.SetState`);
  expect(described.text.includes("SetStateRequest"), "describe to tell of SetState", described.text);

  const message = await grpcurl(address, "describe", "presence.v1.SetStateRequest");
  expect(message.text.includes("(.buf.validate.field)"), "describe to show the constraints", message.text);
  const extension = await grpcurl(address, "describe", "buf.validate.field");
  expect(extension.text.includes("FieldRules field = 1159"), "describe to find an extension", extension.text);
  const health = await grpcurl(address, "grpc.health.v1.Health/Check");
  expect(health.good && health.text.includes("SERVING"), "Check by reflection to be SERVING", health.text);

  const set = await call("SetState", { userId: "tony", states: { Mic: "True" } });
  expect(set.good && JSON.parse(set.text).state.states.Mic === "True", "SetState to answer in JSON", set.text);

  const refused = await call("GetState", { userId: "nobody" });
  const decoded = ["NotFound", "google.rpc.ErrorInfo", "PRESENCE_USER_NOT_EXIST"];
  expect(!refused.good && decoded.every((word) => refused.text.includes(word)), "a decoded refusal", refused.text);

  // The deadline ends it; until then it prints what comes.
  const stream = await call("SubscribePresence", { userId: "tony" }, "-max-time", "2");
  const heard = ['"subscribed"', '"snapshot"', "DeadlineExceeded"];
  expect(
    heard.every((word) => stream.text.includes(word)),
    "SUBSCRIBED and SNAPSHOT",
    stream.text,
  );
}

async function buildEvans(cache: string): Promise<void> {
  const folder = path.join(cache, "evans_module");
  mkdirSync(folder, { recursive: true });
  writeFileSync(path.join(folder, "go.mod"), EVANS_MODULE);
  const args = ["build", "-mod=mod", "-o", path.join(cache, "evans"), EVANS];
  await run("go", args, { timeout: BUILD_MS, cwd: folder });
}

function evansTarget(address: string): string[] {
  const at = address.lastIndexOf(":");
  return ["--host", address.slice(0, at), "--port", address.slice(at + 1)];
}

async function useEvans(evans: (...args: string[]) => Promise<Said>): Promise<void> {
  const list = await evans("list");
  expect(
    SERVICES.every((service) => list.text.includes(service)),
    "list to name all services",
    list.text,
  );
  const message = await evans("desc", "presence.v1.SetStateRequest");
  expect(message.text.includes("(.buf.validate.field)"), "desc to show the constraints", message.text);
}

/** Starts the server as a user does, at a port that the system chooses. */
export async function startServe(): Promise<{ child: ChildProcess; address: string }> {
  const args = ["--import", "tsx", "src/cli/main.ts", "serve", "--listen", "127.0.0.1:0", "--rate-limit", "0"];
  const child = spawn(process.execPath, args, { cwd: ROOT, stdio: ["ignore", "pipe", "pipe"] });
  const address = await new Promise<string>((resolve, reject) => {
    for (const output of [child.stdout!, child.stderr!]) {
      createInterface({ input: output }).on("line", (line) => {
        const found = /127\.0\.0\.1:[1-9]\d*/.exec(line);
        if (found) resolve(found[0]);
      });
    }
    child.once("close", (code) => reject(new Error(`the server ended before it listened (${code})`)));
  });
  return { child, address };
}

async function say(tool: string, args: readonly string[]): Promise<Said> {
  try {
    const { stdout, stderr } = await run(tool, args, { timeout: USE_MS });
    return { good: true, text: stdout + stderr };
  } catch (error) {
    const { stdout = "", stderr = "", message } = error as { stdout?: string; stderr?: string; message: string };
    return { good: false, text: stdout + stderr || message };
  }
}

function expect(holds: boolean, what: string, said: string): void {
  if (!holds) throw new Error(`expected ${what}; it said ${said}`);
}
