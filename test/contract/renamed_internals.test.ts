import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { PRIVATE_FIELDS } from "../../src/rpc/transport_internals.js";
import { DISABLED_WITHOUT, probeTransport } from "../../src/rpc/transport_probe.js";
import type { RollcallServer } from "../../src/server/server.js";
import { connect, message } from "../support/calls.js";
import { endChild } from "../support/child.js";
import { within } from "../support/deferred.js";
import { Listener } from "../support/listener.js";
import { ManualClock } from "../support/manual_clock.js";
import { startTestServer } from "../support/server.js";

const SERVER = fileURLToPath(new URL("../support/server_process.ts", import.meta.url));
const channel = message("room");

/** Each private field, and the parts of the transport that are missing when it has another name. */
const MISSING = {
  call: ["call stream"],
  nextCall: ["call stream"],
  stream: ["intercepted stream", "call stream"],
  incomingEncoding: ["decompression"],
  decompressMessage: ["decompression"],
  maxReceiveMessageSize: ["request limit"],
  decoder: ["request limit"],
  maxReadMessageLength: ["request limit"],
  http2Servers: ["HTTP/2 server"],
} as const;

describe("a release of Node or grpc-js whose private fields have other names", () => {
  const names = { ...PRIVATE_FIELDS };

  afterEach(() => {
    Object.assign(PRIVATE_FIELDS, names);
  });

  it("all are found in the releases that are installed", async () => {
    assert.deepEqual([...(await probeTransport())], []);
  });

  for (const [field, missing] of Object.entries(MISSING))
    describe(`without ${field}`, () => {
      let server: RollcallServer;
      let clock: ManualClock;

      beforeEach(async () => {
        Object.assign(PRIVATE_FIELDS, { [field]: "renamed" });
        clock = new ManualClock();
        server = await startTestServer({}, { clock });
      });

      afterEach(async () => {
        const closed = server.close();
        clock.advance(10_000);
        await closed;
      });

      it("the probe reports it", async () => {
        assert.deepEqual([...(await probeTransport())], missing);
      });

      it("calls that are served are not delayed, and streams get events", async () => {
        const { client, channel: connection } = connect(server.address, "anna");
        const listener = new Listener(client, { channel });
        await listener.opened();
        // More than may be made at once by strangers; the clock stands still.
        for (let i = 0; i < 150; i++) await within("a call", client.setState({ channel, states: { value: `${i}` } }));
        await client.joinChannel({ channel: message("elsewhere") });
        const tony = connect(server.address, "tony");
        const other = new Listener(tony.client, { channel });
        await other.opened();
        assert.equal((await listener.next()).userId, "tony");
        other.cancel();
        listener.cancel();
        tony.channel.close();
        connection.close();
      });
    });

  it("the server logs a warning that names the missing part and what is off", async () => {
    const renamed = JSON.stringify({ incomingEncoding: "renamed", http2Servers: "renamed" });
    const child: ChildProcess = fork(SERVER, [JSON.stringify({ logLevel: "warn" }), renamed], {
      execArgv: ["--import", "tsx"],
      silent: true,
    });
    let log = "";
    child.stderr!.on("data", (chunk) => {
      log += chunk;
    });
    await once(child, "message");
    child.send("close");
    await once(child, "close");
    await endChild(child);
    const lines = log.trimEnd().split("\n");
    const warnings = lines.map((line) => JSON.parse(line)).map(({ missing, disabled }) => ({ missing, disabled }));
    assert.deepEqual(warnings, [
      { missing: "HTTP/2 server", disabled: DISABLED_WITHOUT["HTTP/2 server"] },
      { missing: "decompression", disabled: ["the bound on compressed requests"] },
    ]);
  });
});
