import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { connect, message } from "../support/calls.js";
import { endChild } from "../support/child.js";
import { Listener } from "../support/listener.js";

const SERVER = fileURLToPath(new URL("../support/server_process.ts", import.meta.url));

/** In every place where a caller can put something that is nobody else's business. */
const SECRET = "s3cr3t-0f-4nn";

describe("the log, at level trace (S22)", () => {
  let child: ChildProcess;

  afterEach(() => endChild(child));

  it("tells of calls, and of no state's keys or values and no device, in success or in failure", async () => {
    child = fork(SERVER, [JSON.stringify({ logLevel: "trace", rateLimit: 3, rateBurst: 8 })], {
      execArgv: ["--import", "tsx"],
      silent: true,
    });
    let log = "";
    child.stderr!.on("data", (chunk) => {
      log += chunk;
    });
    const [{ address }] = await once(child, "message");
    const { client, channel } = connect(address, "ann");
    const room = message("room");
    const states = { [SECRET]: SECRET };
    const listener = new Listener(client, { channel: room, deviceId: SECRET, initialStates: states });
    await listener.opened();
    await client.setState({ channel: room, states });
    const tooLong = SECRET.repeat(400);
    const calls = [
      client.setState({ channel: room, states: { [tooLong]: SECRET } }),
      client.setState({ channel: room, states: { a: tooLong } }),
      client.setState({ channel: room, states: { a: SECRET.repeat(10_000) } }),
      client.setState({ channel: room, states, expectedRevision: 99n }),
      client.batchSetState({ requests: [{ channel: room, states: { [tooLong]: SECRET } }] }),
      client.listOnlineUsers({ channel: room, states, pageToken: SECRET }),
      client.removeState({ channel: room, keys: [tooLong] }),
      client.heartbeat({ sessionIds: [SECRET] }),
      client.joinChannel({ channel: room, initialStates: { [tooLong]: SECRET } }),
      client.joinChannel({ channel: room, deviceId: tooLong }),
      client.joinChannel({ channel: room, deviceId: `${SECRET}\0` }),
    ];
    const outcomes = await Promise.allSettled(calls);
    assert.ok(outcomes.filter(({ status }) => status === "rejected").length >= 6);
    listener.cancel();
    channel.close();
    const gone = once(child, "exit");
    child.send("close");
    await gone;
    for (const word of ["SetState", "STATE_KEY_SIZE_OVERFLOW", "RATE_LIMITED"]) assert.ok(log.includes(word), word);
    assert.ok(!log.includes(SECRET), log.slice(Math.max(0, log.indexOf(SECRET) - 300), log.indexOf(SECRET) + 50));
  });
});
