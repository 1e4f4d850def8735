import assert from "node:assert/strict";
import { nextDeadline } from "../../../src/channel/member.js";
import { detach, heard, lease, leave, MemberDriver, RULES, renew, set, stream } from "./driver.js";

/** A refusal for this reason. */
const refused = (reason: string) => ({ name: "PresenceError", reason });

describe("channel: a debounce of leaves", () => {
  let ann: MemberDriver;
  beforeEach(() => {
    ann = new MemberDriver("ann");
    ann.rules = { ...RULES, leaveDebounceMs: 2000 };
  });

  /** Joins with a state, and leaves. */
  function linger(): void {
    ann.do(stream("one", { initialStates: { mood: "fine" } }));
    assert.deepEqual(heard(ann.do(leave("one")).deltas), []);
  }

  it("keeps who leaves, with its state, until the debounce has passed; then it has left", () => {
    linger();
    assert.equal(nextDeadline(ann.member), 2000);
    assert.deepEqual(ann.sessions, []);
    assert.deepEqual(ann.states, { mood: "fine" });
    assert.deepEqual(heard(ann.pass(1999).deltas), []);
    assert.deepEqual(heard(ann.pass(1).deltas), ["leave"]);
    assert.deepEqual(ann.member, { userId: "ann", sessions: [], presence: undefined, pending: undefined });
  });

  it("tells nobody of a user who joins again in time, by a stream or a lease, and lets nothing linger on", () => {
    for (const again of [stream("two"), lease("two")]) {
      ann.member = new MemberDriver("ann").member;
      ann.tick = 0;
      linger();
      ann.pass(1999);
      assert.deepEqual(heard(ann.do(again).deltas), []);
      assert.deepEqual(ann.states, { mood: "fine" });
      assert.deepEqual(Object.keys(ann.member.presence!), ["state", "joinRevision"]);
      assert.deepEqual(heard(ann.pass(2000).deltas), []);
      assert.deepEqual(ann.sessions, ["two"]);
    }
  });

  it("tells of both where the join comes at the end of the debounce", () => {
    linger();
    ann.tick = 2000;
    assert.deepEqual(heard(ann.do(stream("two")).deltas), ["leave", "join"]);
    assert.deepEqual(ann.states, {});
  });

  it("S4: the session that has left is over", () => {
    linger();
    const { outcome } = ann.do(stream("two", { resume: "one" }));
    assert.equal(outcome.joined!.resumed, false);
    assert.deepEqual(ann.sessions, ["two"]);
    assert.throws(() => ann.do(renew("one")), refused("SESSION_NOT_FOUND"));
  });

  it("S2: cannot leave once more, and does not stay longer for trying", () => {
    linger();
    ann.tick = 1000;
    assert.throws(() => ann.do(leave()), refused("SESSION_NOT_FOUND"));
    assert.throws(() => ann.do(leave("one")), refused("SESSION_NOT_FOUND"));
    assert.equal(ann.do(leave("one", 0)).outcome.unchanged, true);
    assert.deepEqual(heard(ann.pass(1000).deltas), ["leave"]);
  });

  it("S9, S14: its state can be written, which does not make it stay longer", () => {
    linger();
    ann.tick = 1500;
    const { revision } = ann.member.presence!.state;
    assert.deepEqual(heard(ann.do(set({ mood: "off" }, { expectedRevision: revision })).deltas), [{ mood: "off" }]);
    assert.equal(ann.member.presence!.lingersUntil, 2000);
    assert.deepEqual(heard(ann.pass(500).deltas), ["leave"]);
  });

  it("S7: quiet sessions neither end it nor prolong it, whatever becomes of them", () => {
    linger();
    ann.do(stream("quiet", { quiet: true, timeoutMs: 1000 }));
    assert.deepEqual(heard(ann.do(detach("quiet")).deltas), []);
    assert.deepEqual(heard(ann.pass(1000).deltas), []);
    ann.do(stream("quiet too", { quiet: true }));
    assert.deepEqual(heard(ann.do(leave("quiet too")).deltas), []);
    assert.equal(nextDeadline(ann.member), 2000);
    ann.do(stream("quiet still", { quiet: true }));
    assert.deepEqual(heard(ann.pass(1000).deltas), ["leave"]);
    assert.deepEqual(ann.sessions, ["quiet still"]);
  });

  it("S7: a session that becomes quiet is a leave", () => {
    ann.do(stream("one"));
    assert.deepEqual(heard(ann.do(stream("", { resume: "one", quiet: true })).deltas), []);
    assert.deepEqual(heard(ann.pass(2000).deltas), ["leave"]);
  });

  it("S3, S17: is for leaves; drops and leases that run out have their own time alone", () => {
    ann.do(stream("one", { timeoutMs: 0 }));
    assert.deepEqual(heard(ann.do(detach("one")).deltas), ["timeout"]);
    ann.do(lease("two", 1000));
    assert.deepEqual(heard(ann.pass(1000).deltas), ["timeout"]);
    ann.do(stream("three", { timeoutMs: 500 }));
    ann.do(stream("four"));
    ann.do(detach("three"));
    assert.deepEqual(heard(ann.do(leave("four")).deltas), [], "present by the session that was lost");
    assert.deepEqual(heard(ann.pass(500).deltas), ["timeout"]);
    ann.do(stream("five", { timeoutMs: 500 }));
    ann.do(detach("five"));
    assert.deepEqual(heard(ann.do(leave("five")).deltas), []);
    assert.deepEqual(heard(ann.pass(500).deltas), [], "it has left, and lingers");
    assert.deepEqual(heard(ann.pass(1500).deltas), ["leave"]);
  });
});
