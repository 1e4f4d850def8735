import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { constants } from "node:http2";
import { UnpaidCalls } from "../../../src/rpc/unpaid_calls.js";
import { ManualClock } from "../../support/manual_clock.js";

class FakeSession extends EventEmitter {
  destroyed = false;
  code: number | undefined;
  readonly streams: number[] = [];

  settings({ maxConcurrentStreams }: { maxConcurrentStreams: number }): void {
    this.streams.push(maxConcurrentStreams);
  }

  destroy(_error: unknown, code: number): void {
    this.destroyed = true;
    this.code = code;
    this.emit("close");
  }
}

const KIB = 1024;

describe("calls that no user pays for", () => {
  let clock: ManualClock;
  let calls: UnpaidCalls;
  let session: FakeSession;

  beforeEach(() => {
    clock = new ManualClock();
    calls = new UnpaidCalls({ clock, maxWaitingBytes: 1024 * KIB, maxStreams: 1000, schedule: (turn) => turn() });
    session = new FakeSession();
  });

  /** Begins calls; counts those that have begun. */
  function begin(count: number, isOfUser = true): { begun: number; streams: EventEmitter[] } {
    const result = { begun: 0, streams: [] as EventEmitter[] };
    for (let i = 0; i < count; i++) {
      const stream = Object.assign(new EventEmitter(), { session, closed: false });
      result.streams.push(stream);
      calls.begin(stream as never, isOfUser, () => {
        result.begun++;
      });
    }
    return result;
  }

  /** Refuses calls; counts those that were answered. */
  function refuse(count: number, bytes = 0): { answered: number } {
    const result = { answered: 0 };
    for (let i = 0; i < count; i++)
      calls.refused(session as never, bytes, () => {
        result.answered++;
      });
    return result;
  }

  const admit = (): void => calls.admitted(session as never);

  for (const isOfUser of [true, false])
    it(`without an admitted call, 100 begin at once and 100 per second (${isOfUser ? "of users" : "others"})`, () => {
      const flood = begin(250, isOfUser);
      assert.equal(flood.begun, 100);
      assert.equal(calls.delayed, 150);
      clock.advance(1000);
      assert.equal(flood.begun, 200);
      clock.advance(10_000);
      assert.equal(flood.begun, 250);
      assert.equal(calls.delayed, 0);
      assert.equal(begin(150, isOfUser).begun, 100, "after a pause");
    });

  it("the first admitted call lets those that wait begin, and those of users are not delayed after that", () => {
    const waiting = begin(150);
    admit();
    assert.equal(waiting.begun, 150);
    assert.equal(begin(1000).begun, 1000);
    assert.equal(begin(150, false).begun, 100);
  });

  it("with an admitted call, 100 refusals are answered at once and 100 per second, and calls begin", () => {
    admit();
    const refusals = refuse(300);
    assert.equal(refusals.answered, 100);
    clock.advance(1000);
    assert.equal(refusals.answered, 200);
    assert.equal(begin(1000).begun, 1000);
    clock.advance(1000);
    assert.equal(refusals.answered, 300);
  });

  it("none waits for longer than 20 s", () => {
    admit();
    const refusals = refuse(5000);
    clock.advance(19_999);
    assert.equal(refusals.answered, 2099);
    clock.advance(1);
    assert.equal(refusals.answered, 5000);
  });

  it("a refused request of 1 MiB costs 65 calls", () => {
    admit();
    refuse(2, 1024 * KIB);
    assert.equal(calls.delayed, 1);
    clock.advance(300);
    assert.equal(calls.delayed, 0);
    session = new FakeSession();
    begin(1);
    refuse(1, 1024 * KIB);
    assert.equal(begin(100).begun, 35);
  });

  it("refusals that wait hold no more than their share of memory", () => {
    admit();
    refuse(100);
    assert.equal(refuse(40, 64 * KIB).answered, 24);
    assert.equal(calls.delayed, 16);
    session.emit("close");
    assert.equal(refuse(16, 64 * KIB).answered, 0);
  });

  it("120 refused calls and 10 that are reset before they begin do not end a connection without an admitted one, one more does", () => {
    refuse(120);
    for (const stream of begin(110).streams) stream.emit("aborted");
    assert.equal(session.destroyed, false);
    assert.equal(refuse(1).answered, 0);
    assert.equal(session.code, constants.NGHTTP2_ENHANCE_YOUR_CALM);
  });

  it("a connection with an admitted call is never ended", () => {
    admit();
    for (const stream of begin(2000).streams) stream.emit("aborted");
    refuse(2000);
    assert.equal(session.destroyed, false);
  });

  it("the limit of streams grows with the first admitted call, and when half as many as it allows were admitted", () => {
    begin(100);
    assert.deepEqual(session.streams, []);
    admit();
    assert.deepEqual(session.streams, [400]);
    for (let i = 0; i < 198; i++) admit();
    assert.deepEqual(session.streams, [400]);
    admit();
    assert.deepEqual(session.streams, [400, 1000]);
    for (let i = 0; i < 2000; i++) admit();
    assert.deepEqual(session.streams, [400, 1000]);
  });

  it("calls of a connection that closes are forgotten", () => {
    const flood = begin(150);
    session.emit("close");
    assert.equal(calls.delayed, 0);
    assert.equal(clock.pending, 0);
    clock.advance(60_000);
    assert.equal(flood.begun, 100);
  });

  it("many calls that are neither admitted nor refused delay those that follow, until half of the calls are admitted", () => {
    admit();
    assert.equal(begin(3000).begun, 2000 + 100);
    for (let i = 0; i < 501; i++) admit();
    assert.equal(begin(1).begun, 1);
  });

  it("a call whose stream closes while it waits does not begin", () => {
    begin(100);
    const late = begin(1);
    Object.assign(late.streams[0]!, { closed: true });
    clock.advance(1000);
    assert.equal(late.begun, 0);
  });
});
