import assert from "node:assert/strict";
import { type Holder, OwnState, type Write } from "./own_state.js";

/** A subscription that was live from the start, without faults. */
const steady: Holder = { liveSince: 1, isReliable: true, fault: undefined, carried: new Map(), returnedAt: 1 };

/** One whose connection failed at that time, when it showed this state, and that came back 10 later. */
function returned(at: number, states: Record<string, string>): Holder {
  const carried = new Map(Object.entries(states).map(([key, value]) => [key, new Set([value])]));
  return { ...steady, fault: { at, states }, carried, returnedAt: at + 10 };
}

describe("OwnState", () => {
  let own: OwnState;

  beforeEach(() => {
    own = new OwnState();
    own.rebase({}, 2);
  });

  function write(change: Record<string, string | undefined>, start: number, end?: number): Write {
    const begun = own.begin(new Map(Object.entries(change)), start);
    if (end !== undefined) Object.assign(begun, { end, outcome: "done" });
    return begun;
  }

  it("lets any of two writes that overlap stand, and none that was answered before another began", () => {
    write({ a: "old" }, 3, 4);
    write({ a: "1" }, 5, 9);
    write({ a: "2" }, 6, 8);
    assert.deepEqual(own.differences({ a: "1" }, [steady]), []);
    assert.deepEqual(own.differences({ a: "2" }, [steady]), []);
    assert.equal(own.differences({ a: "old" }, [steady]).length, 1);
    assert.equal(own.differences({}, [steady]).length, 1);
  });

  it("lets a write that failed stand or not, and a refused one not", () => {
    write({ a: "1" }, 3, 4);
    write({ a: "lost" }, 5);
    write({ a: "refused" }, 6).outcome = "refused";
    assert.deepEqual(own.differences({ a: "1" }, [steady]), []);
    assert.deepEqual(own.differences({ a: "lost" }, [steady]), []);
    assert.equal(own.differences({ a: "refused" }, [steady]).length, 1);
  });

  it("wants back what a subscription showed when the server was lost, and no older value", () => {
    write({ a: "available" }, 3, 4);
    write({ a: "busy" }, 5, 6);
    const both = [returned(10, { a: "busy" }), returned(10, { a: "busy" })];
    assert.deepEqual(own.differences({ a: "busy" }, both), []);
    assert.match(own.differences({ a: "available" }, both)[0]!, /no device can have set it again/);
    assert.match(own.differences({}, both)[0]!, /an open subscription held it/);
  });

  it("lets an older value come back from a device that had not received the newer one", () => {
    write({ a: "available" }, 3, 4);
    write({ a: "busy" }, 5, 6);
    const both = [returned(10, { a: "available" }), returned(10, { a: "busy" })];
    assert.deepEqual(own.differences({ a: "available" }, both), []);
  });

  it("lets no device set an older value again over one that was set after all were back", () => {
    write({ a: "1" }, 3, 4);
    write({ a: "2" }, 30, 31);
    assert.match(own.differences({ a: "1" }, [returned(10, { a: "1" })])[0]!, /set again over it/);
  });

  it("lets no device set again what was removed while the user stayed present", () => {
    write({ a: "1" }, 3, 4);
    write({ a: undefined }, 12, 13);
    assert.equal(own.differences({ a: "1" }, [returned(10, { a: "1" }), steady]).length, 1);
    assert.deepEqual(own.differences({ a: "1" }, [returned(10, { a: "1" })]), []);
  });

  it("knows nothing of a user that was absent at the last rest", () => {
    own.rebase(undefined, 20);
    assert.deepEqual(own.differences({ a: "pending" }, []), []);
  });
});
