import assert from "node:assert/strict";
import { type ChildProcess, execFile, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { connect as connectTls } from "node:tls";
import { fileURLToPath } from "node:url";
import { promisify } from "node:util";
import { connect, message } from "../support/calls.js";
import { type Certificate, makeAuthority } from "../support/certificates.js";
import { endChild } from "../support/child.js";
import { refusalOf } from "../support/refusal.js";
import { goodClaims, hs256, SECRET } from "../support/tokens.js";

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
const run = promisify(execFile);

/** Runs another command than `serve` to its end; gives what it printed. */
async function rollcall(...args: string[]): Promise<string> {
  return (await run(process.execPath, [MAIN, ...args], { env: { ...process.env, ...believing } })).stdout.trim();
}

/** Names the file of an authority that commands are to believe. */
const believing: { GRPC_DEFAULT_SSL_ROOTS_FILE_PATH?: string } = {};

/** `rollcall serve` with tokens, as a person runs it. */
describe("rollcall serve, asking who calls", () => {
  let child: ChildProcess | undefined;
  let output: { stdout: string; stderr: string };

  afterEach(async () => {
    if (child) await endChild(child);
    child = undefined;
  });

  /** Starts a server; resolves with its address. */
  async function serve(flags: readonly string[], environment: Record<string, string> = {}): Promise<string> {
    const env = { ...process.env, ...environment };
    const started = spawn(process.execPath, [MAIN, "serve", "--listen", "127.0.0.1:0", ...flags], { env });
    child = started;
    output = { stdout: "", stderr: "" };
    started.stdout.on("data", (text) => {
      output.stdout += text;
    });
    started.stderr.on("data", (text) => {
      output.stderr += text;
    });
    while (!output.stdout.includes("Ctrl-C")) {
      await Promise.race([once(started.stdout, "data"), once(started, "exit").then(() => assert.fail(output.stderr))]);
    }
    return /listening on (\S+?),?\s/.exec(output.stdout)![1]!;
  }

  it("--dev-secret is one step, and loud", async () => {
    const address = await serve(["--dev-secret"]);
    assert.match(output.stdout, /DEVELOPMENT SECRET: anybody on this machine/);
    assert.match(output.stdout, /watch chat_room --token "\$\(npx rollcall token --dev-secret --user anna\)"/);
    const token = await rollcall("token", "--dev-secret", "--user", "tony");
    const told = await rollcall("set", "chat_room", "Mic=True", "--token", token, "--address", address);
    assert.match(told, /^tony is not in chat_room; pending until tony joins/);
    await assert.rejects(rollcall("set", "chat_room", "Mic=True", "--user", "tony", "--address", address), {
      code: 5,
      stderr: /^rollcall: NOT_AUTHENTICATED/,
    });
  });

  it("S22 no log line holds a secret, a token, a session or a state, at whatever level", async () => {
    const address = await serve(["--log-level", "trace"], { ROLLCALL_TOKEN_SECRET: SECRET });
    assert.match(output.stdout, /Callers show who they are by a token/);
    const good = hs256();
    const tokens = [
      good,
      hs256({}, "a secret of somebody else, of that length"),
      hs256({ claims: goodClaims({ exp: 1 }) }),
    ];
    const values = ["a very private value", "PrivateKey"];
    let session = "";
    for (const token of tokens) {
      const { client, channel } = connect(address, undefined, { token });
      const room = message("chat_room");
      const states = { [values[1]!]: values[0]! };
      const join = client.joinChannel({ channel: room, initialStates: states });
      if (token === good) session = (await join).sessionId;
      else await refusalOf(join);
      await client.setState({ channel: room, states }).catch(() => {});
      await client.setState({ channel: room, states, expectedRevision: 77n }).catch(() => {});
      await client.heartbeat({ sessionIds: [session] }).catch(() => {});
      channel.close();
    }
    const gone = once(child!, "close");
    child!.kill("SIGTERM");
    await gone;
    const lines = output.stderr
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const why = lines.filter(({ msg }) => msg === "not authenticated").map((line) => line.why);
    assert.ok(why.includes("expired") && why.includes("ERR_JWS_SIGNATURE_VERIFICATION_FAILED"), why.join());
    assert.ok(lines.some(({ msg, method }) => msg === "call" && method === "SetState"));
    const secrets = [SECRET, session, ...values, ...tokens.flatMap((token) => token.split("."))];
    for (const secret of secrets) {
      assert.ok(!`${output.stderr}${output.stdout}`.includes(secret), `a log line holds ${secret}`);
    }
  });

  it("warns in its log of settings that are not safe everywhere", async () => {
    await serve(["--token-jwks", "http://127.0.0.1:9/jwks.json"]);
    const gone = once(child!, "close");
    child!.kill("SIGTERM");
    await gone;
    const lines = output.stderr
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
    const warnings = lines.filter(({ level }) => level === 40);
    assert.deepEqual(
      warnings.map(({ msg, setting }) => [msg, setting]),
      [
        ["insecure setting", "--token-jwks"],
        ["insecure setting", "--token-jwks"],
      ],
    );
  });

  it("SIGHUP shows a new certificate, and ends nothing", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "rollcall-hup-"));
    try {
      const authority = makeAuthority();
      const [cert, key] = [path.join(folder, "cert.pem"), path.join(folder, "key.pem")];
      const write = (name: string): void => {
        const issued = authority.issue(name);
        writeFileSync(cert, issued.cert);
        writeFileSync(key, issued.key);
      };
      write("first");
      const address = await serve(["--tls-cert", cert, "--tls-key", key]);
      assert.match(output.stdout, /listening on \S+, with TLS/);
      const shown = async (): Promise<string> => {
        const port = Number(address.split(":")[1]);
        const socket = connectTls({ host: "127.0.0.1", port, ca: authority.cert, ALPNProtocols: ["h2"] });
        await once(socket, "secureConnect");
        const { CN } = socket.getPeerCertificate().subject;
        socket.destroy();
        return String(CN);
      };
      assert.equal(await shown(), "first");
      write("second");
      child!.kill("SIGHUP");
      while (!output.stderr.includes("certificates read again")) await once(child!.stderr!, "data");
      assert.equal(await shown(), "second");
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("trusts no public authority when the file of its own is empty, at start or later", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "rollcall-ca-"));
    const file = (name: string, text: string): string => {
      writeFileSync(path.join(folder, name), text);
      return path.join(folder, name);
    };
    const [own, foreign] = [makeAuthority(), makeAuthority("Foreign")];
    const server = own.issue("server");
    const [cert, key] = [file("cert.pem", server.cert), file("key.pem", server.key)];
    const flags = (ca: string) => ["--tls-cert", cert, "--tls-key", key, "--tls-client-ca", ca, "--identity-from-cert"];
    const environment = {
      NODE_EXTRA_CA_CERTS: file("public.pem", foreign.cert),
    };
    try {
      await assert.rejects(serve(flags(file("none.pem", "")), environment), /--tls-client-ca: \S+ is empty/);
      const ca = file("ca.pem", own.cert);
      const address = await serve(flags(ca), environment);
      const isLetIn = async ({ cert, key }: Certificate): Promise<boolean> => {
        const port = Number(address.split(":")[1]);
        // In TLS 1.3 a client has finished before the server looks at its certificate.
        const shaking = { ca: own.cert, cert, key, ALPNProtocols: ["h2"], maxVersion: "TLSv1.2" } as const;
        const socket = connectTls({ host: "127.0.0.1", port, ...shaking });
        const isIn = await once(socket, "secureConnect").then(
          () => true,
          () => false,
        );
        socket.destroy();
        return isIn;
      };
      assert.equal(await isLetIn(foreign.issue("admin")), false);
      for (const text of ["", own.cert.slice(0, 100), "\n"]) {
        const tries = output.stderr.split("the old ones stay").length;
        file("ca.pem", text);
        child!.kill("SIGHUP");
        while (output.stderr.split("the old ones stay").length === tries) await once(child!.stderr!, "data");
        assert.equal(await isLetIn(foreign.issue("admin")), false);
        assert.equal(await isLetIn(own.issue("tony")), true);
      }
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it("commands reach it by the IP address and by the name that its certificate holds, and by no other", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "rollcall-tls-"));
    const file = (name: string, text: string): string => {
      writeFileSync(path.join(folder, name), text);
      return path.join(folder, name);
    };
    const authority = makeAuthority();
    const serveWith = async ({ cert, key }: Certificate): Promise<string> => {
      const address = await serve(["--tls-cert", file("cert.pem", cert), "--tls-key", file("key.pem", key)]);
      return address.split(":")[1]!;
    };
    const count = (host: string) =>
      rollcall("who", "chat_room", "--count", "--user", "tony", "--address", `https://${host}`);
    try {
      believing.GRPC_DEFAULT_SSL_ROOTS_FILE_PATH = file("ca.pem", authority.cert);
      const port = await serveWith(authority.issue("server"));
      assert.equal(await count(`127.0.0.1:${port}`), "0");
      assert.equal(await count(`localhost:${port}`), "0");

      await endChild(child!);
      const other = await serveWith(authority.issue("server", { namesAlone: true }));
      assert.equal(await count(`localhost:${other}`), "0");
      await assert.rejects(count(`127.0.0.1:${other}`), /IP: 127\.0\.0\.1 is not in the cert's list/);
    } finally {
      delete believing.GRPC_DEFAULT_SSL_ROOTS_FILE_PATH;
      rmSync(folder, { recursive: true });
    }
  });
});
