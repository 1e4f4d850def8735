import assert from "node:assert/strict";
import { connect, message } from "../support/calls.js";
import { Listener } from "../support/listener.js";
import { ManualClock } from "../support/manual_clock.js";
import { refusalOf } from "../support/refusal.js";
import { startTestServer } from "../support/server.js";

const channel = message("revisions");

/** S14: a revision that a client remembers names the state that it was read with, and no other one. */
describe("contract: revisions that never repeat", () => {
  type Calls = ReturnType<typeof connect>["client"];
  type Server = Awaited<ReturnType<typeof startTestServer>>;

  let cleanUp: (() => unknown)[];
  beforeEach(() => {
    cleanUp = [];
  });
  afterEach(async () => {
    for (const clean of cleanUp.reverse()) await clean();
  });

  async function start(clock?: ManualClock): Promise<{ server: Server; calls: Calls }> {
    const server = await startTestServer({ rateLimit: 0 }, { clock });
    const connection = connect(server.address);
    cleanUp.push(() => server.close());
    cleanUp.push(() => connection.channel.close());
    return { server, calls: connection.client };
  }

  /** Joins and writes as another state of the user would come about; gives all revisions that the state had. */
  async function live(calls: Calls): Promise<bigint[]> {
    const set = async (Score: string) => (await calls.setState({ channel, userId: "tony", states: { Score } })).state!;
    const revisions = [(await set("pending")).revision];
    await new Listener(calls, { channel, userId: "tony" }).opened();
    const { state } = await calls.getState({ channel, userId: "tony" });
    revisions.push(state!.revision);
    for (let i = 0; i < 20; i++) revisions.push((await set(String(i))).revision);
    return revisions;
  }

  async function mismatches(calls: Calls, past: readonly bigint[]): Promise<void> {
    for (const expectedRevision of past) {
      const stale = calls.setState({ channel, userId: "tony", states: { Score: "stale" }, expectedRevision });
      assert.equal((await refusalOf(stale)).reason, "STATE_REVISION_MISMATCH", `${expectedRevision}`);
    }
  }

  it("S14: a compare-and-set with a revision from before a restart fails, whatever happened since", async () => {
    const first = await start();
    const past = await live(first.calls);
    await first.server.close();
    const { calls } = await start();
    await mismatches(calls, past);
    const present = await live(calls);
    await mismatches(calls, past);
    assert.equal(new Set([...past, ...present]).size, past.length + present.length);
  });

  it("S14: so does one with a revision from before the channel was forgotten", async () => {
    const clock = new ManualClock();
    const { calls } = await start(clock);
    const past = await live(calls);
    await calls.leaveChannel({ channel, userId: "tony" });
    await mismatches(calls, past);
    clock.advance(60_000);
    const present = await live(calls);
    await mismatches(calls, past);
    assert.equal(new Set([...past, ...present]).size, past.length + present.length);
  });

  it("S14: of many writers that expect the same of a pending state exactly one succeeds", async () => {
    const { calls } = await start();
    const { state: other } = await calls.setState({ channel, userId: "anna", states: { a: "1" } });
    let expectedRevision = 0n;
    for (let round = 0; round < 5; round++) {
      const writers = Array.from({ length: 10 }, (_, i) =>
        calls.setState({ channel, userId: "tony", states: { i: String(i) }, expectedRevision }),
      );
      const settled = await Promise.allSettled(writers);
      const winners = settled.flatMap((one) => (one.status === "fulfilled" ? [one.value] : []));
      assert.equal(winners.length, 1);
      const [{ state, pending }] = winners as [(typeof winners)[0]];
      assert.ok(pending && state!.revision >= 2n ** 52n && state!.revision < 2n ** 53n);
      assert.notEqual(state!.revision, other!.revision);
      expectedRevision = state!.revision;
    }
  });
});
