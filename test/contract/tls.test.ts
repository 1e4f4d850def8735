import assert from "node:assert/strict";
import { once } from "node:events";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { connect as connectTcp } from "node:net";
import { tmpdir } from "node:os";
import path from "node:path";
import { setInterval } from "node:timers/promises";
import { connect as connectTls, type TLSSocket } from "node:tls";
import { credentials } from "@grpc/grpc-js";
import type { RollcallServer, ServerParts } from "../../src/server/server.js";
import type { ServerSettings } from "../../src/server/settings.js";
import { FRAME, frame, PREFACE } from "../hostile/raw_connection.js";
import { connect, message } from "../support/calls.js";
import { type Authority, type Certificate, makeAuthority } from "../support/certificates.js";
import { endChild, startSubscriberProcess } from "../support/child.js";
import { Listener } from "../support/listener.js";
import { ManualClock } from "../support/manual_clock.js";
import { refusalOf } from "../support/refusal.js";
import { startTestServer } from "../support/server.js";
import { TcpProxy } from "../support/tcp_proxy.js";
import { hs256, SECRET } from "../support/tokens.js";

const DAY_MS = 86_400_000;
const GRACE_MS = 400;
const room = message("chat_room");

/** Encrypted connections, and who is let in by its certificate (S20). */
describe("TLS", () => {
  let folder: string;
  let authority: Authority;
  let server: RollcallServer | undefined;
  const open: { close(): unknown }[] = [];

  before(() => {
    authority = makeAuthority();
  });
  beforeEach(() => {
    folder = mkdtempSync(path.join(tmpdir(), "rollcall-tls-"));
  });
  afterEach(async () => {
    for (const one of open.splice(0)) await one.close();
    await server?.close();
    server = undefined;
    rmSync(folder, { recursive: true });
  });

  function file(name: string, text: string): string {
    const where = path.join(folder, name);
    writeFileSync(where, text);
    return where;
  }

  function write({ cert, key }: Certificate) {
    return { tlsCert: file("cert.pem", cert), tlsKey: file("key.pem", key) };
  }

  async function start(settings: Partial<ServerSettings> = {}, parts: ServerParts = {}): Promise<RollcallServer> {
    const files = write(authority.issue("server"));
    server = await startTestServer({ presenceTimeout: GRACE_MS, ...files, ...settings }, parts);
    return server;
  }

  /** A connection that believes the authority, and shows a certificate where it has one. */
  function secure(address: string, own?: Certificate, roots = authority.cert, token?: string) {
    const shown = own ? [Buffer.from(own.key), Buffer.from(own.cert)] : [];
    const secured = credentials.createSsl(Buffer.from(roots), ...shown);
    const connection = connect(address, undefined, { credentials: secured, ...(token !== undefined && { token }) });
    open.push(connection.channel);
    return connection;
  }

  /** The server's certificate and version, as a bare client sees them. */
  async function shake(address: string, options: object = {}): Promise<TLSSocket> {
    const { hostname: host, port } = new URL(`http://${address}`);
    const socket = connectTls({ host, port: Number(port), ca: authority.cert, ALPNProtocols: ["h2"], ...options });
    open.push({ close: () => socket.destroy() });
    await once(socket, "secureConnect");
    return socket;
  }

  it("S2 S3: leaving and being lost stay apart", async () => {
    const { address } = await start();
    const proxy = await TcpProxy.to(address);
    open.push(proxy);
    const anna = new Listener(secure(address).client, { channel: room, userId: "anna" });
    await anna.opened();
    const join = async (where: string) => {
      const tony = new Listener(secure(where).client, {
        channel: room,
        userId: "tony",
        initialStates: { Mic: "True" },
      });
      await tony.opened();
      await anna.expect("remoteJoin");
      await anna.expect("remoteStateChanged");
      return tony;
    };
    (await join(address)).cancel();
    await anna.expect("remoteLeave");
    await join(proxy.address);
    const lostAt = Date.now();
    proxy.cut();
    await anna.expect("remoteTimeout");
    assert.ok(Date.now() - lostAt >= GRACE_MS, "not before its grace was over");
  });

  it("S3: a client that is killed, or whose process ends without a word, is lost", async () => {
    const { address } = await start();
    const anna = new Listener(secure(address).client, { channel: room, userId: "anna" });
    await anna.opened();
    const believing = { GRPC_DEFAULT_SSL_ROOTS_FILE_PATH: file("ca.pem", authority.cert) };
    for (const userId of ["tony", "mia"]) {
      const child = await startSubscriberProcess(
        `https://${address.replace("127.0.0.1", "localhost")}`,
        "chat_room",
        userId,
        believing,
      );
      open.push({ close: () => endChild(child) });
      await anna.expect("remoteJoin");
      await anna.expect("remoteStateChanged");
      if (userId === "tony") await endChild(child, "SIGKILL");
      else child.send("exit");
      await anna.expect("remoteTimeout");
    }
  });

  it("speaks TLS 1.2 and later, HTTP/2, and nothing else", async () => {
    const { address } = await start();
    const twelve = await shake(address, { maxVersion: "TLSv1.2" });
    assert.deepEqual([twelve.getProtocol(), twelve.alpnProtocol], ["TLSv1.2", "h2"]);
    assert.equal((await shake(address)).getProtocol(), "TLSv1.3");
    const old = { minVersion: "TLSv1", maxVersion: "TLSv1.1", ciphers: "DEFAULT@SECLEVEL=0" };
    await assert.rejects(shake(address, old));
    await assert.rejects(shake(address, { ALPNProtocols: ["http/1.1"] }));
  });

  it("does not take plain text, and lets nobody hold a socket open for going down", async () => {
    const running = await start();
    const { address } = running;
    const plain = connect(address);
    open.push(plain.channel);
    const refusal = await refusalOf(plain.client.getState({ channel: room, userId: "tony" }));
    assert.equal(refusal.code, "UNAVAILABLE");
    const { hostname: host, port } = new URL(`http://${address}`);
    const silent = connectTcp(Number(port), host);
    await once(silent, "connect");
    const gone = once(silent, "close");
    silent.on("error", () => {});
    await running.close();
    await gone;
  });

  it("shows itself by its certificate: a client that does not know the authority stays away", async () => {
    const { address } = await start();
    const { client } = secure(address, undefined, makeAuthority("Another").cert);
    assert.equal((await refusalOf(client.getState({ channel: room, userId: "tony" }))).code, "UNAVAILABLE");
  });

  it("a client of plain text servers alone is not met by TLS", async () => {
    server = await startTestServer();
    const { client } = secure(server.address);
    assert.equal((await refusalOf(client.getState({ channel: room, userId: "tony" }))).code, "UNAVAILABLE");
  });

  it("asks for client certificates, and refuses those that are missing, unknown or expired", async () => {
    const { address } = await start({ tlsClientCa: file("ca.pem", authority.cert) });
    const ask = { channel: room, countOnly: true };
    const bad = [undefined, makeAuthority("Another").issue("tony"), authority.issue("tony", { expired: true })];
    for (const certificate of bad) {
      const refusal = await refusalOf(secure(address, certificate).client.listOnlineUsers(ask));
      assert.equal(refusal.code, "UNAVAILABLE");
    }
    await secure(address, authority.issue("tony")).client.listOnlineUsers(ask);
  });

  it("takes the name in the certificate for the user, and no other name", async () => {
    const { address } = await start({ tlsClientCa: file("ca.pem", authority.cert), identityFromCert: true });
    const { client } = secure(address, authority.issue("tony"));
    const { state } = await client.setState({ channel: room, states: { Mic: "True" } });
    assert.equal(state?.userId, "tony");
    const refusal = await refusalOf(client.setState({ channel: room, userId: "anna", states: {} }));
    assert.deepEqual([refusal.code, refusal.reason], ["PERMISSION_DENIED", "NOT_ALLOWED"]);
    const nameless = secure(address, authority.issue("t".repeat(64).concat("\u0001")));
    assert.equal((await refusalOf(nameless.client.setState({ channel: room }))).reason, "NOT_AUTHENTICATED");
  });

  it("a token speaks louder than a certificate", async () => {
    const tlsClientCa = file("ca.pem", authority.cert);
    const { address } = await start({ tlsClientCa, identityFromCert: true, tokenSecret: SECRET });
    const tony = authority.issue("tony");
    const by = async (token?: string) => {
      const { client } = secure(address, tony, authority.cert, token);
      return (await client.setState({ channel: room })).state?.userId;
    };
    assert.equal(await by(), "tony");
    assert.equal(await by(hs256({ claims: { sub: "anna", exp: Date.now() / 1000 + 60 } })), "anna");
    await assert.rejects(by("nonsense"), /UNAUTHENTICATED/);
  });

  for (const version of ["TLSv1.2", "TLSv1.3"] as const)
    it(`looks at the dates of a client certificate when a session of ${version} is resumed`, async () => {
      const clock = new ManualClock({ wall: Date.now() });
      const { address } = await start({ tlsClientCa: file("ca.pem", authority.cert) }, { clock });
      const own = authority.issue("anna");
      const settings = { ...own, minVersion: version, maxVersion: version };
      const first = await shake(address, settings);
      first.write(Buffer.concat([PREFACE, frame(FRAME.SETTINGS, 0, 0)]));
      await once(first, "data");
      // With TLS 1.3 the ticket comes after the handshake, and before what the server sends first.
      const session = first.getSession();

      /** Resumes the session; whether the server then speaks HTTP/2. */
      const isServed = async (): Promise<boolean> => {
        const resumed = await shake(address, { ...settings, session });
        assert.ok(resumed.isSessionReused());
        resumed.on("error", () => {});
        resumed.write(Buffer.concat([PREFACE, frame(FRAME.SETTINGS, 0, 0)]));
        const answered = once(resumed, "data").then(() => true);
        const closed = new Promise<boolean>((resolve) => resumed.once("close", () => resolve(false)));
        return Promise.race([answered, closed]);
      };
      assert.equal(await isServed(), true);
      clock.jumpWall(2 * DAY_MS);
      assert.equal(await isServed(), false);
      clock.jumpWall(-4 * DAY_MS);
      assert.equal(await isServed(), false);
      for (const one of open.splice(0)) await one.close();
    });

  it("shows a new certificate after a reload, ends no stream, and keeps the old one when the new is no good", async () => {
    const running = await start();
    const { address } = running;
    const stays = secure(address);
    const anna = new Listener(stays.client, { channel: room, userId: "anna" });
    await anna.opened();
    const shown = async () => (await shake(address)).getPeerCertificate().subject.CN;
    assert.equal(await shown(), "server");
    write(authority.issue("renewed"));
    running.reloadTls();
    assert.equal(await shown(), "renewed");
    file("cert.pem", authority.issue("half").cert);
    running.reloadTls();
    file("key.pem", "nonsense");
    running.reloadTls();
    assert.equal(await shown(), "renewed");
    await secure(address).client.setState({ channel: room, userId: "tony" });
    await stays.client.setState({ channel: room, userId: "anna", states: { still: "here" } });
    await new Listener(secure(address).client, { channel: room, userId: "tony" }).opened();
    await anna.expect("remoteJoin");
  });

  it("takes up a certificate that changes by itself, and ends no stream", async () => {
    const { address } = await start();
    const { client } = secure(address);
    const anna = new Listener(client, { channel: room, userId: "anna" });
    await anna.opened();
    const renewed = authority.issue("renewed");
    // What is written before the first look at the file is no change to it, so it is written again.
    for await (const _ of setInterval(200)) {
      write(renewed);
      if ((await shake(address)).getPeerCertificate().subject.CN === "renewed") break;
    }
    await new Listener(secure(address).client, { channel: room, userId: "tony" }).opened();
    await anna.expect("remoteJoin");
  });

  it("does not start with files that are no good", async () => {
    const { key } = authority.issue("other");
    await assert.rejects(start({ tlsCert: path.join(folder, "none.pem") }), /--tls-cert: .* cannot be read \(ENOENT\)/);
    await assert.rejects(start({ tlsKey: file("other.pem", key) }), /--tls-cert and --tls-key cannot be used/);
  });
});
