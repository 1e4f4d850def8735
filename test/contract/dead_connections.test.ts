import assert from "node:assert/strict";
import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectTcp, type Socket } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setTimeout } from "node:timers/promises";
import { connect as connectTls } from "node:tls";
import { fileURLToPath } from "node:url";
import { credentials } from "@grpc/grpc-js";
import { callHeaders, FLAG, FRAME, frame, PREFACE } from "../hostile/raw_connection.js";
import { connect, message } from "../support/calls.js";
import { type Authority, makeAuthority } from "../support/certificates.js";
import { endChild } from "../support/child.js";
import { gauge } from "../support/gauge.js";

const MAIN = fileURLToPath(new URL("../../dist/src/cli/main.js", import.meta.url));
/** The answers to this number of reads, of 12 KB each, are more than the buffers of both ends of a connection hold. */
const READS = 1900;
/** SETTINGS_INITIAL_WINDOW_SIZE, and the window of the connection: as large as they can be. */
const WINDOWS = [
  frame(FRAME.SETTINGS, 0, 0, Buffer.from([0, 4, 0x7f, 255, 255, 255])),
  frame(FRAME.WINDOW_UPDATE, 0, 0, Buffer.from([0x7f, 0, 0, 0])),
];
/** GetStateRequest { channel: { type: MESSAGE, name: "room" }, user_id: "anna" }, behind gRPC's prefix. */
const GET_STATE = Buffer.from([
  0,
  0,
  0,
  0,
  16,
  10,
  8,
  8,
  1,
  18,
  4,
  ...Buffer.from("room"),
  18,
  4,
  ...Buffer.from("anna"),
]);

/** Clients that stop reading and answering while the server writes to them (S3, S24). */
describe("a connection whose client reads and answers nothing", () => {
  let authority: Authority;
  let folder: string;
  let server: ChildProcess;
  let log: string;
  let client: Socket;

  before(() => {
    authority = makeAuthority();
    folder = mkdtempSync(path.join(tmpdir(), "rollcall-dead-"));
    const { cert, key } = authority.issue("server");
    writeFileSync(path.join(folder, "cert.pem"), cert);
    writeFileSync(path.join(folder, "key.pem"), key);
  });

  after(() => rmSync(folder, { recursive: true }));

  afterEach(async () => {
    client?.destroy();
    await endChild(server);
  });

  const records = () => log.split("\n").filter((line) => line.startsWith("{"));

  async function logged(msg: string): Promise<Record<string, unknown>> {
    for (;;) {
      const record = records()
        .map((line) => JSON.parse(line))
        .find((one) => one.msg === msg);
      if (record) return record;
      await Promise.race([once(server.stderr!, "data"), once(server, "exit")]);
    }
  }

  async function serve(isSecure: boolean, ...more: string[]): Promise<string> {
    const files = ["--tls-cert", path.join(folder, "cert.pem"), "--tls-key", path.join(folder, "key.pem")];
    const flags = ["--keepalive", "1s", "--keepalive-timeout", "500ms", ...(isSecure ? files : []), ...more];
    server = spawn(process.execPath, [MAIN, "serve", "--listen", "127.0.0.1:0", "--drain-time", "5s", ...flags]);
    log = "";
    server.stderr!.setEncoding("utf8").on("data", (text: string) => {
      log += text;
    });
    // Output that is not read would hold it up.
    server.stdout!.resume();
    return String((await logged("listening")).address);
  }

  /** Asks for more than it ever reads. */
  async function stall(address: string, isSecure: boolean): Promise<void> {
    const shown = isSecure ? { credentials: credentials.createSsl(Buffer.from(authority.cert)) } : {};
    const honest = connect(address, undefined, shown);
    const initialStates = Object.fromEntries(["a", "b", "c"].map((key) => [key, "x".repeat(4000)]));
    await honest.client.joinChannel({ channel: message("room"), userId: "anna", initialStates, ttl: { seconds: 60n } });
    honest.channel.close();
    const to = { host: "127.0.0.1", port: Number(address.split(":")[1]) };
    client = isSecure ? connectTls({ ...to, ca: authority.cert, ALPNProtocols: ["h2"] }) : connectTcp(to);
    client.on("error", () => {});
    await once(client, isSecure ? "secureConnect" : "connect");
    client.write(Buffer.concat([PREFACE, ...WINDOWS]));
    const head = callHeaders("GetState");
    for (let i = 0; i < READS; i++) {
      const id = 2 * i + 1;
      client.write(frame(FRAME.HEADERS, FLAG.END_HEADERS, id, head));
      client.write(frame(FRAME.DATA, FLAG.END_STREAM, id, GET_STATE));
    }
    // The streams of the first calls are open by now, and the server has begun to write.
    await once(client, "readable");
  }

  for (const isSecure of [false, true]) {
    const over = isSecure ? "over TLS" : "in plain text";

    it(`${over}: is closed when its keepalive fails, and the server stops cleanly`, async () => {
      await stall(await serve(isSecure, "--metrics", "127.0.0.1:0"), isSecure);
      const metrics = String((await logged("listening")).metrics);
      while ((await gauge(metrics, "rollcall_connections")) > 0) await setTimeout(20);
      server.kill("SIGTERM");
      assert.equal((await logged("stopped")).clean, true);
      if (server.exitCode === null) await once(server, "exit");
      assert.equal(server.exitCode, 0);
    });

    it(`${over}: does not keep the server from stopping`, async () => {
      await stall(await serve(isSecure), isSecure);
      server.kill("SIGTERM");
      const [code] = await once(server, "exit");
      assert.equal(code, 0);
      await logged("stopped");
    });
  }
});
