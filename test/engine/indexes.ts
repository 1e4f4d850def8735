import assert from "node:assert/strict";
import { Bench, type MakeEngine, OTHER_ROOM, ROOM } from "./fixture.js";

/** Finding things over all channels: sessions, a user's places, and the counts. */
export function indexTests(makeEngine: MakeEngine): void {
  it("finds a session for as long as it is attached, detached, or a lease that lives", async () => {
    const bench = await Bench.of(makeEngine);
    const sessionId = await bench.join(ROOM, "ann");
    assert.deepEqual(await bench.engine.findSession(sessionId), { channel: ROOM, userId: "ann" });
    await bench.do(ROOM, "ann", { kind: "detach", sessionId, attachment: 0 });
    assert.deepEqual(await bench.engine.findSession(sessionId), { channel: ROOM, userId: "ann" });
    const replacing = await bench.join(ROOM, "ann");
    assert.equal(await bench.engine.findSession(sessionId), undefined);
    assert.deepEqual(await bench.engine.findSession(replacing), { channel: ROOM, userId: "ann" });
    await bench.leave(ROOM, "ann");
    assert.equal(await bench.engine.findSession(replacing), undefined);
    assert.equal(await bench.engine.findSession("never was"), undefined);
  });

  it("lists where a user has sessions or pending states, by type and name", async () => {
    const bench = await Bench.of(makeEngine);
    const places = async () =>
      (await bench.engine.placesOf("", "ann")).map(({ channel: { type, name }, member }) => {
        return `${type} ${name} ${member.presence ? "present" : "pending"}`;
      });
    assert.deepEqual(await places(), []);
    await bench.set({ type: 2, name: "a" }, "ann", { mood: "fine" });
    await bench.join({ type: 1, name: "z" }, "ann");
    await bench.join({ type: 1, name: "b" }, "ann");
    await bench.join({ type: 1, name: "c" }, "bob");
    assert.deepEqual(await places(), ["1 b present", "1 z present", "2 a pending"]);
    await bench.join({ type: 2, name: "a" }, "ann");
    await bench.leave({ type: 1, name: "z" }, "ann");
    assert.deepEqual(await places(), ["1 b present", "2 a present"]);
    await bench.leave({ type: 1, name: "b" }, "ann");
    await bench.leave({ type: 2, name: "a" }, "ann");
    assert.deepEqual(await places(), []);
  });

  it("counts channels, present users and sessions", async () => {
    const bench = await Bench.of(makeEngine);
    const counts = () => {
      const { channels, present, sessions } = bench.engine.stats();
      return [channels, present, sessions];
    };
    assert.deepEqual(counts(), [0, 0, 0]);
    await bench.join(ROOM, "ann");
    await bench.join(ROOM, "ann");
    await bench.join(OTHER_ROOM, "ann");
    await bench.join(OTHER_ROOM, "bob");
    assert.deepEqual(counts(), [2, 3, 4]);
    await bench.leave(ROOM, "ann");
    await bench.leave(OTHER_ROOM, "bob");
    assert.deepEqual(counts(), [2, 1, 1]);
  });
}
