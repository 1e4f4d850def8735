import assert from "node:assert/strict";
import type { RollcallServer } from "../../src/server/server.js";
import { connect, message } from "../support/calls.js";
import { Listener } from "../support/listener.js";
import { ManualClock } from "../support/manual_clock.js";
import { startTestServer } from "../support/server.js";

const DEBOUNCE = 2000;
const lobby = message("lobby:1");
const stage = message("stage");

/** A debounce of leaves for some channels, over real sockets; time stands still but where a test lets it go on. */
describe("a debounce of leaves", () => {
  let clock: ManualClock;
  let server: RollcallServer;
  let calls: ReturnType<typeof connect>;

  beforeEach(async () => {
    clock = new ManualClock();
    server = await startTestServer({ channel: { "lobby:*": { leaveDebounce: DEBOUNCE } } }, { clock });
    calls = connect(server.address);
  });

  afterEach(async () => {
    calls.channel.close();
    await server.close();
  });

  async function listen(userId: string, channel = lobby): Promise<Listener> {
    const listener = new Listener(calls.client, { channel, userId });
    await listener.opened();
    return listener;
  }

  it("tells nobody of a stream that is cancelled and opened anew in time", async () => {
    const anna = await listen("anna");
    const tony = await listen("tony");
    await calls.client.setState({ channel: lobby, userId: "tony", states: { Mic: "True" } });
    await anna.expect("remoteJoin");
    await anna.expect("remoteStateChanged");
    // Cancelled later on the same connection: when its end has been decided about, by a later call, tony's has too.
    const fence = await listen("fence", stage);
    tony.cancel();
    fence.cancel();
    let present: number;
    do present = (await calls.client.listOnlineUsers({ channel: stage, countOnly: true })).totalSize;
    while (present > 0);
    clock.advance(DEBOUNCE - 1);
    const again = await listen("tony");
    clock.advance(10 * DEBOUNCE);
    await calls.client.setState({ channel: lobby, userId: "tony", states: { Mic: "False" } });
    const next = await anna.expect("remoteStateChanged");
    assert.deepEqual(next.state?.states, { Mic: "False" }, "nothing came in between");
    again.cancel();
  });

  it("tells of a leave when it has passed; in other channels at once", async () => {
    const anna = await listen("anna");
    await calls.client.joinChannel({ channel: lobby, userId: "tony" });
    await anna.expect("remoteJoin");
    await calls.client.leaveChannel({ channel: lobby, userId: "tony" });
    const still = await calls.client.listOnlineUsers({ channel: lobby, countOnly: true });
    assert.equal(still.totalSize, 2);
    clock.advance(DEBOUNCE);
    assert.equal((await anna.expect("remoteLeave")).$event.userId, "tony");

    const ben = await listen("ben", stage);
    await calls.client.joinChannel({ channel: stage, userId: "tony" });
    await ben.expect("remoteJoin");
    await calls.client.leaveChannel({ channel: stage, userId: "tony" });
    await ben.expect("remoteLeave");
  });
});
