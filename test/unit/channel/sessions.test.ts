import assert from "node:assert/strict";
import { detach, heard, lease, leave, MemberDriver, RULES, renew, set, stream } from "./driver.js";

/** A refusal for this reason. */
const refused = (reason: string) => ({ name: "PresenceError", reason });

describe("channel: sessions", () => {
  let ann: MemberDriver;
  beforeEach(() => {
    ann = new MemberDriver("ann");
  });

  it("S1 announces the first session of a user, and no other", () => {
    const first = ann.do(stream("one"));
    assert.deepEqual(heard(first.deltas), ["join"]);
    assert.equal(first.deltas[0]!.occupancy, 1);
    assert.deepEqual(heard(ann.do(stream("two")).deltas), []);
    assert.deepEqual(heard(ann.do(lease("three")).deltas), []);
    assert.deepEqual(ann.sessions, ["one", "two", "three"]);
  });

  it("S2 announces a leave with the last session, and forgets the user", () => {
    ann.do(stream("one", { initialStates: { mood: "fine" } }));
    ann.do(stream("two"));
    assert.deepEqual(heard(ann.do(leave("one")).deltas), []);
    const last = ann.do(leave("two", 0));
    assert.deepEqual(heard(last.deltas), ["leave"]);
    assert.equal(last.deltas[0]!.occupancy, 0);
    assert.deepEqual(ann.member, { userId: "ann", sessions: [], presence: undefined, pending: undefined });
  });

  it("S2 ends all sessions of a user where none is named, and says whose streams are to be closed", () => {
    ann.do(stream("one"));
    ann.do(stream("two"));
    ann.do(lease("three"));
    const { outcome, deltas } = ann.do(leave());
    assert.deepEqual(heard(deltas), ["leave"]);
    assert.deepEqual(outcome.ended, [
      { sessionId: "one", attachment: 0, why: "left" },
      { sessionId: "two", attachment: 0, why: "left" },
      { sessionId: "three", attachment: undefined, why: "left" },
    ]);
  });

  it("S2 refuses to end what is not there, but lets the end of a stale stream pass", () => {
    assert.throws(() => ann.do(leave()), refused("SESSION_NOT_FOUND"));
    ann.do(stream("one"));
    assert.throws(() => ann.do(leave("other")), refused("SESSION_NOT_FOUND"));
    ann.do(stream("new", { resume: "one" }));
    const stale = ann.do(leave("one", 0));
    assert.equal(stale.outcome.unchanged, true);
    assert.deepEqual(ann.sessions, ["one"]);
  });

  it("S3 keeps a lost user for its timeout, with its state, and then announces the timeout", () => {
    ann.do(stream("one", { timeoutMs: 5000, initialStates: { mood: "fine" } }));
    assert.deepEqual(heard(ann.do(detach("one")).deltas), []);
    assert.deepEqual(heard(ann.pass(4999).deltas), []);
    assert.deepEqual(ann.states, { mood: "fine" });
    assert.deepEqual(heard(ann.pass(1).deltas), ["timeout"]);
    assert.equal(ann.states, undefined);
  });

  it("S3 announces the timeout at once where the timeout is 0", () => {
    ann.do(stream("one", { timeoutMs: 0 }));
    assert.deepEqual(heard(ann.do(detach("one")).deltas), ["timeout"]);
  });

  it("S3 counts the timeout from the moment of the loss, when it is reported later", () => {
    ann.do(stream("one", { timeoutMs: 1000 }));
    ann.pass(500);
    ann.do({ kind: "detach", sessionId: "one", attachment: 0, since: 450 });
    assert.deepEqual(heard(ann.pass(949).deltas), []);
    assert.deepEqual(heard(ann.pass(1).deltas), ["timeout"]);
    ann.do(stream("two", { timeoutMs: 40 }));
    ann.pass(50);
    assert.deepEqual(heard(ann.do({ kind: "detach", sessionId: "two", attachment: 0, since: 1450 }).deltas), [
      "timeout",
    ]);
  });

  it("S3 says nothing of a lost session while another one lives", () => {
    ann.do(stream("one", { timeoutMs: 1000 }));
    ann.do(stream("two"));
    ann.do(detach("one"));
    assert.deepEqual(heard(ann.pass(1000).deltas), []);
    assert.deepEqual(ann.sessions, ["two"]);
    assert.deepEqual(heard(ann.do(leave("two")).deltas), ["leave"]);
  });

  it("S3 counts a second report of the same loss for nothing", () => {
    ann.do(stream("one", { timeoutMs: 1000 }));
    ann.do(detach("one"));
    ann.tick += 600;
    assert.equal(ann.do(detach("one")).outcome.unchanged, true);
    assert.deepEqual(heard(ann.pass(400).deltas), ["timeout"]);
  });

  it("S4 takes a session up again without an event, and leaves it alone when the old stream ends after all", () => {
    ann.do(stream("one", { initialStates: { mood: "fine" } }));
    ann.do(detach("one"));
    ann.tick += 29_999;
    const { outcome, deltas } = ann.do(stream("unused", { resume: "one" }));
    assert.deepEqual(heard(deltas), []);
    assert.equal(outcome.joined?.resumed, true);
    assert.deepEqual(ann.sessions, ["one"]);
    assert.deepEqual(ann.states, { mood: "fine" });
    assert.equal(ann.do(detach("one", 0)).outcome.unchanged, true);
    assert.deepEqual(heard(ann.pass(300_000).deltas), []);
    ann.do(detach("one", 1));
    assert.deepEqual(heard(ann.pass(30_000).deltas), ["timeout"]);
  });

  it("S4 ends the old stream of a session that is taken up while it still seems open", () => {
    ann.do(stream("one"));
    const { outcome } = ann.do(stream("unused", { resume: "one" }));
    assert.deepEqual(outcome.ended, [{ sessionId: "one", attachment: 0, why: "replaced" }]);
    assert.deepEqual(ann.sessions, ["one"]);
  });

  it("S4 lets any new session of the user replace the lost ones, without an event", () => {
    for (const join of [stream("new"), lease("new")]) {
      const driver = new MemberDriver();
      driver.do(stream("lost", { initialStates: { mood: "fine" } }));
      driver.do(stream("lost too"));
      driver.do(stream("open"));
      driver.do(detach("lost"));
      driver.do(detach("lost too"));
      const { outcome, deltas } = driver.do(join);
      assert.deepEqual(heard(deltas), []);
      assert.deepEqual(outcome.ended, []);
      assert.equal(outcome.joined?.resumed, false);
      assert.deepEqual(driver.sessions, ["open", "new"]);
      assert.deepEqual(driver.states, { mood: "fine" });
    }
  });

  it("S4 makes an ordinary join of a return that comes too late, or to a session that never was", () => {
    ann.do(stream("one", { timeoutMs: 1000, initialStates: { mood: "fine" } }));
    ann.do(detach("one"));
    ann.tick += 1000;
    const late = ann.do(stream("two", { resume: "one" }));
    assert.deepEqual(heard(late.deltas), ["timeout", "join"]);
    assert.equal(late.outcome.joined?.resumed, false);
    assert.deepEqual(ann.sessions, ["two"]);
    assert.deepEqual(ann.states, {});

    const bob = new MemberDriver("bob");
    const unknown = bob.do(stream("two", { resume: "one" }));
    assert.deepEqual(heard(unknown.deltas), ["join"]);
    assert.equal(unknown.outcome.joined?.resumed, false);
  });

  it("S4 does not take up a lease by a stream", () => {
    ann.do(lease("one"));
    const { outcome } = ann.do(stream("two", { resume: "one" }));
    assert.equal(outcome.joined?.resumed, false);
    assert.deepEqual(ann.sessions, ["one", "two"]);
  });

  it("S7 keeps a quiet session out of sight from beginning to end", () => {
    assert.deepEqual(heard(ann.do(stream("one", { quiet: true })).deltas), []);
    assert.equal(ann.states, undefined);
    assert.deepEqual(heard(ann.do(stream("two")).deltas), ["join"]);
    assert.deepEqual(heard(ann.do(leave("two")).deltas), ["leave"]);
    ann.do(detach("one"));
    assert.deepEqual(heard(ann.pass(30_000).deltas), []);
    assert.deepEqual(ann.sessions, []);
  });

  it("S7 lets a session that is taken up as quiet leave, and one that was quiet join", () => {
    ann.do(stream("one"));
    ann.do(detach("one"));
    assert.deepEqual(heard(ann.do(stream("", { resume: "one", quiet: true })).deltas), ["leave"]);
    assert.deepEqual(heard(ann.do(stream("", { resume: "one" })).deltas), ["join"]);
  });

  it("S7 does not let a quiet session take the place of a lost one that is seen", () => {
    ann.do(stream("seen", { timeoutMs: 1000 }));
    ann.do(detach("seen"));
    assert.deepEqual(heard(ann.do(stream("monitor", { quiet: true })).deltas), []);
    assert.deepEqual(heard(ann.pass(1000).deltas), ["timeout"]);
  });

  it("S8 ends the older sessions where a user may have one, and says nothing to the others", () => {
    ann.rules = { ...RULES, sameUser: "single" };
    ann.do(stream("monitor", { quiet: true }));
    ann.do(stream("one", { initialStates: { mood: "fine" } }));
    const { outcome, deltas } = ann.do(stream("two"));
    assert.deepEqual(heard(deltas), []);
    assert.deepEqual(outcome.ended, [{ sessionId: "one", attachment: 0, why: "replaced" }]);
    assert.deepEqual(ann.sessions, ["monitor", "two"]);
    assert.deepEqual(ann.states, { mood: "fine" });
    assert.deepEqual(ann.do(lease("three")).outcome.ended, [{ sessionId: "two", attachment: 0, why: "replaced" }]);
  });

  it("S17 announces a timeout as soon as a lease runs out", () => {
    ann.do(lease("one", 2000));
    ann.tick += 1500;
    ann.do(renew("one"));
    assert.deepEqual(heard(ann.pass(1999).deltas), []);
    assert.deepEqual(heard(ann.pass(1).deltas), ["timeout"]);
    assert.throws(() => ann.do(renew("one")), refused("SESSION_NOT_FOUND"));
  });

  it("S17 renews for the time that the heartbeat says, and from then on for that", () => {
    ann.do(lease("one", 2000));
    ann.do(renew("one", 10_000));
    assert.deepEqual(heard(ann.pass(9999).deltas), []);
    ann.do(renew("one"));
    assert.deepEqual(heard(ann.pass(9999).deltas), []);
    assert.deepEqual(heard(ann.pass(1).deltas), ["timeout"]);
  });

  it("S17 renews leases alone", () => {
    ann.do(stream("one"));
    assert.throws(() => ann.do(renew("one")), refused("SESSION_NOT_FOUND"));
    assert.throws(() => ann.do(renew("other")), refused("SESSION_NOT_FOUND"));
  });

  it("S21 refuses one channel too many, unless the user is in it already", () => {
    ann.rules = { ...RULES, limits: { ...RULES.limits, maxChannelsPerUser: 3 } };
    ann.elsewhere = { channels: 2, attachedChannels: 2, pendingPairs: 0 };
    ann.do(stream("one", { quiet: true }));
    ann.elsewhere = { channels: 3, attachedChannels: 3, pendingPairs: 0 };
    ann.do(stream("two"));
    const bob = new MemberDriver("bob");
    bob.rules = ann.rules;
    bob.elsewhere = ann.elsewhere;
    assert.throws(() => bob.do(stream("one")), { ...refused("TOO_MANY_CHANNELS"), metadata: { limit: "3" } });
    assert.throws(() => bob.do(lease("one")), refused("TOO_MANY_CHANNELS"));
    bob.do(set({ mood: "fine" }));
  });

  it("S21 refuses one session too many, and not the return of one that was lost", () => {
    ann.rules = { ...RULES, limits: { ...RULES.limits, maxSessionsPerUser: 2 } };
    ann.do(stream("one"));
    ann.do(lease("two"));
    const before = ann.member;
    assert.throws(() => ann.do(stream("three")), { ...refused("TOO_MANY_SESSIONS"), metadata: { limit: "2" } });
    assert.throws(() => ann.do(lease("three")), refused("TOO_MANY_SESSIONS"));
    assert.equal(ann.member, before);
    ann.do(stream("four", { resume: "one" }));
    ann.rules = { ...ann.rules, sameUser: "single" };
    ann.do(stream("five"));
  });
});
