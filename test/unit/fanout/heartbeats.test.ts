import assert from "node:assert/strict";
import { Heartbeats } from "../../../src/fanout/heartbeats.js";
import { ManualClock } from "../../support/manual_clock.js";

describe("fanout: heartbeats", () => {
  let clock: ManualClock;
  let heartbeats: Heartbeats;
  let sent: number[];

  beforeEach(() => {
    clock = new ManualClock();
    heartbeats = new Heartbeats(clock);
    sent = [];
  });

  const start = (intervalMs: number) => heartbeats.of(intervalMs, () => sent.push(clock.now().tick));

  it("come each time that nothing was written for the interval", () => {
    start(5000).wrote();
    clock.advance(16_000);
    assert.deepEqual(sent, [5000, 10_000, 15_000]);
  });

  it("do not come before the first message", () => {
    const heartbeat = start(5000);
    clock.advance(60_000);
    assert.deepEqual(sent, []);
    heartbeat.wrote();
    clock.advance(5000);
    assert.deepEqual(sent, [65_000]);
  });

  it("do not come on a busy stream, and one interval after its last message", () => {
    const heartbeat = start(5000);
    for (let i = 0; i < 10; i++) {
      heartbeat.wrote();
      clock.advance(4999);
    }
    assert.deepEqual(sent, []);
    clock.advance(1);
    assert.deepEqual(sent, [9 * 4999 + 5000]);
  });

  it("end with the stream, and leave nothing behind", () => {
    const heartbeat = start(5000);
    heartbeat.stop();
    heartbeat.wrote();
    heartbeat.stop();
    clock.advance(60_000);
    assert.deepEqual(sent, []);
    assert.equal(heartbeats.size, 0);
  });

  it("of 20,000 streams have one timer", () => {
    for (let i = 0; i < 20_000; i++) start(5000 + (i % 100)).wrote();
    assert.equal(clock.pending, 1);
    clock.advance(5100);
    assert.equal(sent.length, 20_000);
    assert.equal(clock.pending, 1);
  });
});
