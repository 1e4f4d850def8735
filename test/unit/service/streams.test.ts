import assert from "node:assert/strict";
import { World } from "./world.js";

describe("service: streams", () => {
  let world: World;
  beforeEach(() => {
    world = new World();
  });
  afterEach(() => {
    assert.deepEqual(world.errors, []);
  });

  /** The position of the channel, as a client would keep it. */
  function position() {
    const { epoch, revision } = world.memory.summary({ type: 1, name: "room" }).position;
    return { epoch, revision: BigInt(revision) };
  }

  it("S15 opens with SUBSCRIBED, then everybody who is present, oneself included", async () => {
    await world.subscribe("bob", { initialStates: { mood: "fine" } });
    const { sink } = await world.subscribe("ann");
    const [subscribed, snapshot, ...more] = sink.take();
    assert.deepEqual(more, []);
    assert.ok(subscribed?.event.case === "subscribed" && snapshot?.event.case === "snapshot");
    const { sessionId, resumed, occupancy } = subscribed.event.value;
    assert.match(sessionId, /^[\w-]{22}$/);
    assert.deepEqual([resumed, occupancy], [false, 2]);
    assert.deepEqual(subscribed.position, snapshot.position);
    assert.deepEqual([snapshot.event.value.last, snapshot.event.value.occupancy], [true, 2]);
    assert.deepEqual(
      snapshot.event.value.users.map((user) => [user.userId, { ...user.states }, user.joinTime !== undefined]),
      [
        ["bob", { mood: "fine" }, true],
        ["ann", {}, true],
      ],
    );
  });

  it("S16 resumes from a position that it remembers, with nothing but what was missed", async () => {
    const ann = await world.subscribe("ann");
    const bob = await world.subscribe("bob");
    const resumeFrom = position();
    await ann.gone("lost");
    await world.set("bob", { mood: "fine" });
    await world.subscribe("cid");
    await bob.gone("cancelled");
    const back = await world.subscribe("ann", { sessionId: ann.sessionId, resumeFrom });
    assert.deepEqual(back.told(), ["SUBSCRIBED 2", "state bob 3 mood=fine", "join cid 4", "leave bob 5"]);
    await world.set("cid", { mood: "new" });
    assert.deepEqual(back.told(), ["state cid 6 mood=new"]);
  });

  it("S16 resumes by the position alone, even when the session timed out", async () => {
    const ann = await world.subscribe("ann");
    const resumeFrom = position();
    await world.subscribe("bob");
    await ann.gone("lost");
    await world.pass(30_000);
    const back = await world.subscribe("ann", { sessionId: ann.sessionId, resumeFrom });
    assert.deepEqual(back.told(), ["SUBSCRIBED 1", "join bob 2"]);
  });

  it("S15 names the subscriber in SUBSCRIBED, and counts the users at SUBSCRIBED's position", async () => {
    const ann = await world.subscribe("ann");
    await world.subscribe("bob");
    const opened = async (init: object, userId = "ann"): Promise<unknown[]> => {
      const { sink } = await world.subscribe(userId, init);
      const { userId: named, position, event } = sink.take()[0]!;
      return [named, Number(position!.revision), event.case === "subscribed" && event.value.occupancy];
    };
    const epoch = position().epoch;
    const from = (revision: bigint) => ({ sessionId: ann.sessionId, resumeFrom: { epoch, revision } });
    await world.leave("bob");
    await world.joinLease("cid", { initialStates: { mood: "fine" } });
    assert.equal(position().revision, 5n);
    assert.deepEqual(await opened(from(1n)), ["ann", 1, 1]);
    assert.deepEqual(await opened(from(2n)), ["ann", 2, 2]);
    assert.deepEqual(await opened(from(3n)), ["ann", 3, 1]);
    assert.deepEqual(await opened(from(4n)), ["ann", 4, 2]);
    assert.deepEqual(await opened(from(5n)), ["ann", 5, 2]);
    assert.deepEqual(await opened({ withPresence: false }, "dan"), ["dan", 6, 3]);
    assert.deepEqual(await opened({ quiet: true }, "monitor"), ["monitor", 6, 3]);
    assert.deepEqual(await opened({ ...from(4n), sessionId: "" }, "eve"), ["eve", 4, 2]);
  });

  it("S16 gives a SNAPSHOT where the position is forgotten, of another life, or of the future", async () => {
    world = new World({ log: { maxEvents: 2, maxBytes: 1e6 } });
    const ann = await world.subscribe("ann");
    const first = position();
    for (const value of ["1", "2", "3"]) await world.set("ann", { value });
    const { epoch, revision } = position();
    for (const resumeFrom of [
      first,
      { epoch: "another", revision },
      { epoch: "", revision: 0n },
      { epoch, revision: revision + 1n },
      { epoch, revision: 2n ** 64n - 1n },
    ]) {
      const back = await world.subscribe("ann", { sessionId: ann.sessionId, resumeFrom });
      assert.deepEqual(back.told(), ["SUBSCRIBED 4", "SNAPSHOT 4 ann value=3"]);
    }
  });

  it("S16 S23 gives a SNAPSHOT of the new life when the channel was forgotten meanwhile", async () => {
    const ann = await world.subscribe("ann");
    const resumeFrom = position();
    await ann.gone("cancelled");
    await world.pass(60_000);
    assert.deepEqual(world.memory.stats(), { channels: 0, present: 0, sessions: 0, users: 0 });
    const back = await world.subscribe("ann", { resumeFrom });
    assert.deepEqual(back.told(), ["SUBSCRIBED 4", "SNAPSHOT 4 ann"]);
    assert.notEqual(position().epoch, resumeFrom.epoch);
  });

  it("S3 S16a makes a drop of a reader that reads nothing, from which it may come back", async () => {
    const listener = await world.listen();
    const ann = await world.subscribe("ann");
    const bob = await world.subscribe("bob");
    listener.told();
    ann.sink.stall();
    await world.set("bob", { mood: "fine" });
    await world.pass(60_000);
    assert.equal(ann.sink.ended?.aborted, true);
    assert.equal(ann.sink.ended.error?.reason, "SUBSCRIBER_TOO_SLOW");
    assert.equal(world.service.openStreams, 2);
    await ann.gone("cancelled");
    assert.deepEqual(listener.told(), ["state bob 3 mood=fine"]);
    const back = await world.subscribe("ann", { sessionId: ann.sessionId });
    await back.gone("lost");
    await world.pass(30_000);
    assert.deepEqual(listener.told(), ["timeout ann 4"]);
    assert.equal(bob.sink.ended, undefined);
  });

  it("S24 sends all streams away, refuses new ones, answers calls, and keeps sessions for their grace", async () => {
    const ann = await world.subscribe("ann");
    const quiet = await world.subscribe("ann", { withPresence: false });
    world.service.drain();
    await world.settle();
    for (const { sink } of [ann, quiet]) {
      const { reason, retryAfterMs } = sink.ended!.error!;
      assert.equal(reason, "SERVER_DRAINING");
      assert.ok(retryAfterMs! >= 0 && retryAfterMs! <= 5000);
    }
    await assert.rejects(world.open("bob"), { reason: "SERVER_DRAINING" });
    assert.deepEqual(await world.get("ann"), {});
    await ann.gone("cancelled");
    await quiet.gone("cancelled");
    assert.deepEqual(await world.online(), ["ann"]);
    assert.equal(world.service.openStreams, 0);
    await world.pass(30_000);
    assert.deepEqual(await world.online(), []);
  });
});
