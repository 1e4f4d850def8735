import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import type { Http2Session } from "node:http2";
import fc from "fast-check";
import { CancelledStreams } from "../../../src/rpc/cancelled_streams.js";
import { deferred } from "../../support/deferred.js";
import { ManualClock } from "../../support/manual_clock.js";
import { property } from "../../support/property.js";
import { FakeCall } from "./fake_call.js";

/** A session of Node's, as far as decisions depend on it. */
class FakeSession extends EventEmitter {
  readonly state = { lastProcStreamID: 1 };
  closed = false;
  destroyed = false;
  isConnected = true;

  /** The client begins another call. */
  call(): void {
    this.state.lastProcStreamID += 2;
    this.emit("stream", { id: this.state.lastProcStreamID });
  }
}

describe("rpc: cancelled streams", () => {
  let clock: ManualClock;
  /** What runs after the sockets were read once more. */
  let reading: (() => void)[];
  let cancelled: CancelledStreams;
  let session: FakeSession;
  let decisions: string[];

  beforeEach(() => {
    clock = new ManualClock({ tick: 1000 });
    reading = [];
    cancelled = new CancelledStreams({ clock, afterReading: (callback) => reading.push(callback) });
    session = new FakeSession();
    decisions = [];
  });

  function cancel(name = "stream", on: FakeSession | undefined = session, carryOut = Promise.resolve()): void {
    cancelled.add({
      session: on as unknown as Http2Session | undefined,
      isConnected: () => on?.isConnected ?? true,
      decide: (how, since) => {
        decisions.push(`${name} ${how} ${since}`);
        return carryOut;
      },
    });
  }

  function pass(ms: number): void {
    clock.advance(ms);
    for (const callback of reading.splice(0)) callback();
  }

  it("S2 decides for a leave when nothing happens for 50 ms", () => {
    cancel();
    pass(49);
    assert.deepEqual(decisions, []);
    pass(1);
    assert.deepEqual(decisions, ["stream cancelled 1000"]);
  });

  it("S2 decides for a disconnect, from the cancel on, when the connection ends within that time", () => {
    for (const end of ["closed", "destroyed", "isConnected"] as const) {
      session = new FakeSession();
      cancel(end);
      clock.advance(10);
      session[end] = end !== "isConnected";
    }
    pass(50);
    assert.deepEqual(decisions, ["closed lost 1000", "destroyed lost 1010", "isConnected lost 1020"]);
  });

  it("S2 reads the socket once more before it decides", () => {
    cancel();
    clock.advance(1000);
    assert.deepEqual(decisions, []);
    session.closed = true;
    pass(0);
    assert.deepEqual(decisions, ["stream lost 1000"]);
  });

  it("S2 decides at once when the connection has ended before the cancel", () => {
    session.closed = true;
    cancel();
    assert.deepEqual(decisions, ["stream lost 1000"]);
  });

  it("S2 decides for a leave at once when another call begins, and only on that connection", () => {
    const other = new FakeSession();
    cancel("first");
    cancel("second");
    cancel("other", other);
    session.call();
    assert.deepEqual(decisions, ["first cancelled 1000", "second cancelled 1000"]);
    session.closed = true;
    pass(50);
    assert.deepEqual(decisions.slice(2), ["other cancelled 1000"]);
    assert.deepEqual([session.listenerCount("stream"), other.listenerCount("stream")], [0, 0]);
    assert.equal(clock.pending, 0);
  });

  it("S2 does not take a call for a later one that came before the cancel and is begun after it", () => {
    session.state.lastProcStreamID = 3;
    cancel();
    session.emit("stream", { id: 3 });
    assert.deepEqual(decisions, []);
  });

  it("S2 decides about all when the server drains, and at once from then on", () => {
    const ended = new FakeSession();
    cancel("open");
    cancel("ended", ended);
    ended.closed = true;
    cancelled.drain();
    assert.deepEqual(decisions, ["open cancelled 1000", "ended lost 1000"]);
    session.closed = true;
    cancel("late");
    session.isConnected = false;
    cancel("lost");
    assert.deepEqual(decisions.slice(2), ["late cancelled 1000", "lost lost 1000"]);
    assert.equal(clock.pending, 0);
  });

  it("S2 decides without the session too, but not by later calls", () => {
    cancel("unknown", undefined);
    pass(50);
    assert.deepEqual(decisions, ["unknown cancelled 1000"]);
  });

  it("S2 lets calls of the connection wait until its leaves are carried out", async () => {
    const callOn = (one: FakeSession) => {
      const stream = { session: one, write: () => true, close: () => {} };
      return cancelled.before(Object.assign(new FakeCall(Buffer.of()), { call: { stream } }) as never);
    };
    const [first, second] = [deferred<void>(), deferred<void>()];
    cancel("first", session, first.promise);
    cancel("second", session, second.promise);
    assert.equal(callOn(session), undefined);
    session.call();
    assert.equal(callOn(new FakeSession()), undefined);
    let isOver = false;
    const over = callOn(session)!.then(() => {
      isOver = true;
    });
    second.resolve();
    await new Promise(setImmediate);
    assert.equal(isOver, false);
    first.resolve();
    await over;
    await new Promise(setImmediate);
    assert.equal(callOn(session), undefined);
  });

  const event = fc.oneof(
    fc.constantFrom("cancel" as const, "call" as const, "goaway" as const, "end" as const),
    fc.integer({ min: 1, max: 60 }),
  );

  property("S2 decides once about each cancel, as the first event after it says", [fc.array(event)], (events) => {
    clock = new ManualClock();
    cancelled = new CancelledStreams({ clock, afterReading: (callback) => reading.push(callback) });
    session = new FakeSession();
    decisions = [];
    const expected: string[] = [];
    let open: number[] = [];
    const expect = (how: string, isDecided = (_since: number): boolean => true): void => {
      expected.push(...open.filter(isDecided).map((since) => `stream ${how} ${since}`));
      open = open.filter((since) => !isDecided(since));
    };
    for (const one of [...events, 50]) {
      if (one === "cancel") {
        open.push(clock.now().tick);
        cancel();
      } else if (one === "goaway") {
        session.closed = true;
      } else if (one === "end") {
        session.isConnected = false;
      } else if (one !== "call") {
        pass(one);
        expect("cancelled", (since) => since + 50 <= clock.now().tick);
      } else if (session.isConnected && !session.closed) {
        session.call();
        expect("cancelled");
      }
      if (session.closed || !session.isConnected) expect("lost");
    }
    assert.deepEqual(decisions.sort(), expected.sort());
  });
});
