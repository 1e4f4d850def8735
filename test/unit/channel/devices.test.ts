import assert from "node:assert/strict";
import type { StreamSession } from "../../../src/channel/member.js";
import { sizeOf } from "../../../src/channel/size.js";
import { detach, heard, lease, leave, MemberDriver, RULES, set, stream } from "./driver.js";

/** A refusal for this reason. */
const refused = (reason: string) => ({ name: "PresenceError", reason });

describe("channel: the devices of one user", () => {
  let ann: MemberDriver;
  beforeEach(() => {
    ann = new MemberDriver("ann");
  });

  /** Joins on a device and loses the stream. */
  function lose(sessionId: string, deviceId: string, quiet = false): void {
    ann.do(stream(sessionId, { deviceId, quiet }));
    ann.do(detach(sessionId));
  }

  it("S4 keeps a detached session while a session of another device comes and goes, without an event", () => {
    ann.do(stream("phone", { deviceId: "phone", initialStates: { mood: "fine" } }));
    ann.do(detach("phone"));
    for (let round = 0; round < 100; round++) {
      ann.tick += 100;
      for (const join of [
        stream(`tab ${round}`, { deviceId: "desktop" }),
        lease(`tab ${round}`, 1000, {}, "desktop"),
      ]) {
        assert.deepEqual(heard(ann.do(join).deltas), []);
        assert.deepEqual(heard(ann.do(leave(`tab ${round}`)).deltas), []);
        assert.deepEqual(ann.sessions, ["phone"]);
      }
    }
    const { outcome, deltas } = ann.do(stream("unused", { resume: "phone" }));
    assert.deepEqual([heard(deltas), outcome.joined?.resumed], [[], true]);
    assert.deepEqual(ann.states, { mood: "fine" });
  });

  it("S3 announces the timeout of a lost device after other devices have left", () => {
    lose("phone", "phone");
    ann.tick += 29_000;
    ann.do(stream("tab"));
    assert.deepEqual(heard(ann.do(leave("tab")).deltas), []);
    assert.deepEqual(heard(ann.pass(999).deltas), []);
    assert.deepEqual(heard(ann.pass(1).deltas), ["timeout"]);
  });

  it("S4 ends the detached sessions of the same device at a join, and no attached one", () => {
    for (const deviceId of ["", "phone"]) {
      ann = new MemberDriver();
      ann.do(stream("open", { deviceId }));
      ann.do(stream("lost", { deviceId }));
      lose("other", "other");
      ann.do(detach("lost"));
      const { outcome, deltas } = ann.do(stream("new", { deviceId }));
      assert.deepEqual([heard(deltas), outcome.ended], [[], []]);
      assert.deepEqual(ann.sessions, ["open", "other", "new"]);
      ann.do(detach("open"));
      ann.do(lease("lease", 1000, {}, deviceId));
      assert.deepEqual(ann.sessions, ["other", "new", "lease"]);
    }
  });

  it("S4 lets a resumed session keep its device, whatever the request says", () => {
    lose("phone", "phone");
    lose("none", "");
    lose("desktop", "desktop");
    ann.do(stream("unused", { resume: "phone", deviceId: "desktop" }));
    assert.deepEqual(ann.sessions, ["none", "desktop", "phone"]);
    ann.do(stream("unused", { resume: "none", deviceId: "desktop" }));
    assert.deepEqual(ann.sessions, ["desktop", "phone", "none"]);
    assert.deepEqual(
      (ann.member.sessions as StreamSession[]).map(({ deviceId }) => deviceId),
      ["desktop", "phone", undefined],
    );
  });

  it("S4 ends the other detached sessions of a resumed session's device", () => {
    for (const id of ["one", "two"]) ann.do(stream(id, { deviceId: "phone" }));
    for (const id of ["one", "two"]) ann.do(detach(id));
    assert.deepEqual(heard(ann.do(stream("unused", { resume: "one" })).deltas), []);
    assert.deepEqual(ann.sessions, ["one"]);
  });

  it("S7 ends only sessions that are as quiet as the one that joins", () => {
    lose("seen", "phone");
    lose("monitor", "phone", true);
    ann.do(stream("quiet", { deviceId: "phone", quiet: true }));
    assert.deepEqual(ann.sessions, ["seen", "quiet"]);
    ann.do(detach("quiet"));
    ann.do(stream("new", { deviceId: "phone" }));
    assert.deepEqual(ann.sessions, ["quiet", "new"]);
  });

  it("S8 ends all other visible sessions where a user may have one, detached ones of other devices too", () => {
    ann.rules = { ...RULES, sameUser: "single" };
    lose("monitor", "phone", true);
    lose("phone", "phone");
    const { outcome } = ann.do(stream("desktop", { deviceId: "desktop" }));
    assert.deepEqual(outcome.ended, []);
    assert.deepEqual(ann.sessions, ["monitor", "desktop"]);
    const tablet = ann.do(stream("tablet", { deviceId: "tablet" }));
    assert.deepEqual(tablet.outcome.ended, [{ sessionId: "desktop", attachment: 0, why: "replaced" }]);
    ann.do(stream("quiet", { deviceId: "tablet", quiet: true }));
    assert.deepEqual(ann.sessions, ["monitor", "tablet", "quiet"]);
  });

  it("S21 ends the longest detached sessions where there would be too many", () => {
    ann.rules = { ...RULES, limits: { ...RULES.limits, maxSessionsPerUser: 3 } };
    for (const id of ["a", "b", "c"]) ann.do(stream(id, { deviceId: id, timeoutMs: id === "c" ? 1000 : 60_000 }));
    for (const id of ["c", "b", "a"]) {
      ann.tick += 10;
      ann.do(detach(id));
    }
    assert.deepEqual(heard(ann.do(stream("d", { deviceId: "d" })).deltas), []);
    assert.deepEqual(ann.sessions, ["a", "b", "d"], "c was lost first");
    ann.do(stream("e", { deviceId: "e" }));
    ann.do(lease("f"));
    assert.deepEqual(ann.sessions, ["d", "e", "f"]);
    assert.throws(() => ann.do(stream("g")), refused("TOO_MANY_SESSIONS"));
    assert.throws(() => ann.do(stream("g", { resume: "a" })), refused("TOO_MANY_SESSIONS"));
    ann.do(stream("unused", { resume: "d" }));
  });

  it("S21 does not end a detached session that others see for a quiet one: that would be an event", () => {
    ann.rules = { ...RULES, limits: { ...RULES.limits, maxSessionsPerUser: 2 } };
    lose("seen", "phone");
    lose("monitor", "phone", true);
    ann.do(stream("quiet", { quiet: true }));
    assert.deepEqual(ann.sessions, ["seen", "quiet"]);
    assert.throws(() => ann.do(stream("more", { quiet: true, deviceId: "more" })), refused("TOO_MANY_SESSIONS"));
    assert.deepEqual(heard(ann.do(leave("quiet")).deltas), []);
  });

  it("counts the label of a device in the user's memory, and keeps nothing where there is none", () => {
    const sizeWith = (deviceId: string): number => {
      const driver = new MemberDriver();
      driver.do(stream("one", { deviceId }));
      assert.equal("deviceId" in driver.member.sessions[0]!, deviceId !== "");
      driver.do(detach("one"));
      assert.equal("deviceId" in driver.member.sessions[0]!, deviceId !== "");
      return sizeOf(driver.member).bytes;
    };
    assert.equal(sizeWith("a".repeat(100)) - sizeWith(""), 130);
  });
});

describe("channel: the initial states of a resumed session", () => {
  let ann: MemberDriver;
  beforeEach(() => {
    ann = new MemberDriver("ann");
  });

  const again = (id: string, quiet = false) => stream("unused", { resume: id, quiet, initialStates: { mood: "fine" } });

  it("S4 are ignored while the user is present, whichever of its sessions makes it so", () => {
    ann.do(stream("one", { initialStates: { mood: "fine" } }));
    ann.do(stream("monitor", { quiet: true }));
    ann.do(set({ mood: "busy" }));
    for (const join of [again("one"), again("monitor", true)]) assert.deepEqual(heard(ann.do(join).deltas), []);
    ann.do(detach("one", 1));
    for (const join of [again("one"), again("monitor", true), again("monitor")]) {
      assert.deepEqual(heard(ann.do(join).deltas), []);
    }
    assert.deepEqual(ann.states, { mood: "busy" });
  });

  it("S4 are ignored while the user is present because a leave is not announced yet", () => {
    ann.rules = { ...RULES, leaveDebounceMs: 1000 };
    ann.do(stream("one", { initialStates: { mood: "busy" } }));
    ann.do(stream("monitor", { quiet: true }));
    ann.do(leave("one"));
    for (const quiet of [true, false]) assert.deepEqual(heard(ann.do(again("monitor", quiet)).deltas), []);
    assert.deepEqual(ann.states, { mood: "busy" });
  });

  it("S4 are ignored where the session becomes quiet and the user is not present after that", () => {
    ann.do(stream("one"));
    assert.deepEqual(heard(ann.do(again("one", true)).deltas), ["leave"]);
    assert.equal(ann.member.pending, undefined);
  });

  it("S12 count where the user is not present: they are pending, or come with its join", () => {
    ann.do(stream("monitor", { quiet: true }));
    ann.do(again("monitor", true));
    assert.deepEqual(ann.member.pending?.states, { mood: "fine" });
    assert.deepEqual(heard(ann.do(again("monitor")).deltas), ["join", { mood: "fine" }]);
  });

  it("S12 count where a new session of a present user brings them", () => {
    ann.do(stream("one", { initialStates: { mood: "busy" } }));
    assert.deepEqual(heard(ann.do(stream("two", { initialStates: { mood: "fine" } })).deltas), [{ mood: "fine" }]);
    assert.deepEqual(heard(ann.do(stream("three", { resume: "gone", initialStates: { mood: "off" } })).deltas), [
      { mood: "off" },
    ]);
  });
});
