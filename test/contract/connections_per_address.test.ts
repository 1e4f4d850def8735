import assert from "node:assert/strict";
import { once } from "node:events";
import { connect as connectSocket, type Socket } from "node:net";
import type { RollcallServer } from "../../src/server/server.js";
import { connect, message } from "../support/calls.js";
import { startTestServer } from "../support/server.js";

const PREFACE = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const EMPTY_SETTINGS = Buffer.from([0, 0, 0, 4, 0, 0, 0, 0, 0]);

/** How many connections one address may have, over real sockets (S21). */
describe("connections per address", () => {
  let server: RollcallServer;
  const sockets: Socket[] = [];

  afterEach(async () => {
    for (const socket of sockets.splice(0)) socket.destroy();
    await server.close();
  });

  /** Opens a connection and says hello; whether the server answers, or hangs up. */
  async function greet(localAddress = "127.0.0.1"): Promise<"answered" | "closed"> {
    const [host, port] = server.address.split(":") as [string, string];
    const socket = connectSocket({ host, port: Number(port), localAddress });
    socket.on("error", () => {});
    sockets.push(socket);
    socket.write(Buffer.concat([Buffer.from(PREFACE), EMPTY_SETTINGS]));
    return Promise.race([
      once(socket, "data").then(() => "answered" as const),
      new Promise<"closed">((resolve) => {
        socket.once("close", () => resolve("closed"));
      }),
    ]);
  }

  it("one too many is closed at once, the others live on, and one that ends frees its place", async () => {
    server = await startTestServer({ maxConnectionsPerAddress: 3 });
    const { client, channel } = connect(server.address, "ann");
    try {
      await client.setState({ channel: message("room"), states: { n: "1" } });
      assert.equal(await greet(), "answered");
      assert.equal(await greet(), "answered");
      for (let i = 0; i < 5; i++) assert.equal(await greet(), "closed");
      await client.setState({ channel: message("room"), states: { n: "2" } });
      assert.deepEqual(
        sockets.map(({ destroyed }) => destroyed),
        [false, false, true, true, true, true, true],
      );
      const [first] = sockets as [Socket];
      const closed = once(first, "close");
      first.end();
      await closed;
      assert.equal(await greet(), "answered");
      assert.equal(await greet(), "closed", "a single place was free");
    } finally {
      channel.close();
    }
  });

  it("another address has places of its own", async function () {
    // Only Linux has all of 127.0.0.0/8 without being told.
    if (process.platform !== "linux") {
      this.test!.title += " (skipped: 127.0.0.2 is not an address here)";
      this.skip();
    }
    server = await startTestServer({ maxConnectionsPerAddress: 1 });
    assert.equal(await greet(), "answered");
    assert.equal(await greet(), "closed");
    assert.equal(await greet("127.0.0.2"), "answered");
    assert.equal(await greet("127.0.0.2"), "closed");
  });

  it("by default there may be any number", async () => {
    server = await startTestServer();
    const answers = await Promise.all(Array.from({ length: 50 }, () => greet()));
    assert.ok(answers.every((answer) => answer === "answered"));
  });
});
