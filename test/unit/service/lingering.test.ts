import assert from "node:assert/strict";
import { refusal, room, World } from "./world.js";

describe("service: a debounce of leaves", () => {
  let world: World;
  beforeEach(() => {
    world = new World({ rules: { leaveDebounceMs: 2000 }, limits: { maxChannelsPerUser: 1 } });
  });
  afterEach(() => {
    assert.deepEqual(world.errors, []);
  });

  it("keeps a reload of a page from the others, who hear of what it wrote", async () => {
    const listener = await world.listen();
    const before = await world.subscribe("ann", { initialStates: { mood: "fine" } });
    assert.deepEqual(listener.told(), ["join ann 1", "state ann 2 mood=fine"]);
    await before.gone("cancelled");
    assert.deepEqual(await world.get("ann"), { mood: "fine" });
    await world.pass(1999);
    await world.subscribe("ann", { initialStates: { mood: "back" } });
    await world.pass(10_000);
    assert.deepEqual(listener.told(), ["state ann 3 mood=back"]);
  });

  it("tells of a leave once the debounce has passed, and keeps nothing of it", async () => {
    const listener = await world.listen();
    const ann = await world.subscribe("ann");
    await world.leave("ann", { sessionId: ann.sessionId });
    assert.deepEqual(ann.sink.ended, { error: undefined, aborted: false }, "its stream is over at once");
    await refusal("SESSION_NOT_FOUND", () => world.leave("ann"));
    assert.deepEqual(listener.told(), ["join ann 1"]);
    await world.pass(2000);
    assert.deepEqual(listener.told(), ["leave ann 2"]);
    await refusal("PRESENCE_USER_NOT_EXIST", () => world.get("ann"));
    assert.equal(world.memory.stats().users, 1, "the listener alone");
  });

  it("S21: does not count towards the channels of a user, until it is back", async () => {
    const ann = await world.subscribe("ann");
    await ann.gone("cancelled");
    const elsewhere = await world.subscribe("ann", { channel: room("elsewhere") });
    await refusal("TOO_MANY_CHANNELS", () => world.subscribe("ann"));
    await elsewhere.gone("cancelled");
    await world.subscribe("ann");
  });
});
