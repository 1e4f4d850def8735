import assert from "node:assert/strict";
import type { ChannelCodec, EventCodec } from "../../../src/fanout/ports.js";
import { eventCodec } from "../../../src/wire/event_codec.js";
import { FakeSink } from "./fake_sink.js";
import { Stage } from "./stage.js";

const INTERVAL = 1000;
const paceOf = () => ({ announceMax: 4, intervalMs: INTERVAL });

/** A channel of five users, where four may be announced. */
describe("fanout: a channel in intervals (S18)", () => {
  let stage: Stage;
  beforeEach(() => {
    stage = new Stage({ paceOf });
    for (const user of ["ann", "bob", "cid", "dan", "eve"]) stage.join(user);
  });

  /** A reader that has got its first events. */
  function opened(userId = "ann", options = {}) {
    const opened = stage.subscribe(userId, options);
    stage.settle();
    opened.sink.take();
    return opened;
  }

  function pass(ms = INTERVAL): void {
    stage.clock.advance(ms);
    stage.settle();
  }

  it("tells what changed on balance once an interval, and nothing where nothing did", () => {
    const { sink } = opened();
    stage.join("fay", { mood: "fine" });
    stage.set("bob", { n: "1" });
    stage.set("bob", { n: "2" });
    stage.leave("cid");
    stage.join("guy");
    stage.leave("guy");
    stage.do("dan", { kind: "detach", sessionId: "dan", attachment: 0 });
    stage.pass(0);
    pass(INTERVAL - 1);
    assert.deepEqual(sink.told(), []);
    pass(1);
    assert.deepEqual(sink.told(), ["INTERVAL 13 +fay -cid ?dan fay mood=fine bob n=2 of 4"]);
    assert.equal(stage.clock.pending, 0, "no time is kept while nothing happens");
    pass(10 * INTERVAL);
    assert.deepEqual(sink.told(), []);
  });

  it("says nothing of an interval that came to nothing", () => {
    const { sink } = opened();
    stage.join("guy", { mood: "fine" });
    stage.leave("guy");
    pass();
    assert.deepEqual(sink.told(), []);
    stage.set("bob", { n: "1" });
    pass();
    assert.deepEqual(sink.told(), ["INTERVAL 9 bob n=1 of 5"]);
  });

  it("tells a user who left and came back as having left and joined", () => {
    const { sink } = opened();
    stage.leave("bob");
    stage.join("bob", { back: "yes" });
    pass();
    assert.deepEqual(sink.told(), ["INTERVAL 8 +bob -bob bob back=yes of 5"]);
  });

  it("writes the same bytes to all who keep up, the one who did it among them", () => {
    const sinks = [opened("ann"), opened("bob"), opened("cid", { includeSelf: true })].map(({ sink }) => sink);
    const messages = new Set<Uint8Array>();
    for (const sink of sinks) {
      const write = sink.write.bind(sink);
      sink.write = (message) => write(message) && messages.add(message) !== undefined;
    }
    stage.set("bob", { n: "1" });
    pass();
    for (const sink of sinks) assert.deepEqual(sink.told(), ["INTERVAL 6 bob n=1 of 5"]);
    assert.equal(messages.size, 1);
  });

  it("announces what was waiting when it grows, and flushes the interval when it shrinks", () => {
    stage = new Stage({ paceOf });
    for (const user of ["ann", "bob", "cid", "dan"]) stage.join(user);
    const { sink } = opened();
    stage.join("eve");
    stage.settle();
    assert.deepEqual(sink.told(), ["join eve 5"]);
    stage.set("bob", { n: "1" });
    stage.leave("cid");
    stage.settle();
    assert.deepEqual(sink.told(), [], "not below 80 % of the limit");
    stage.leave("dan");
    stage.settle();
    assert.deepEqual(sink.told(), ["INTERVAL 8 -cid -dan bob n=1 of 3"]);
    stage.set("bob", { n: "2" });
    stage.join("dan");
    stage.settle();
    assert.deepEqual(sink.told(), ["state bob 9 n=2", "join dan 10"], "announced again, and still at the limit");
    assert.equal(stage.clock.pending, 0);
  });

  it("begins a reader in the middle of an interval with all that is true, and tells it the rest at the end", () => {
    const early = opened("ann");
    stage.set("bob", { n: "1" });
    stage.join("fay");
    pass(INTERVAL / 2);
    const late = stage.subscribe("dan");
    stage.settle();
    assert.deepEqual(late.sink.told(), ["SUBSCRIBED 7", "SNAPSHOT 7 ann bob n=1 cid dan eve fay"]);
    stage.leave("fay");
    stage.set("cid", { n: "1" });
    pass(INTERVAL / 2);
    assert.deepEqual(early.sink.told(), ["INTERVAL 9 bob n=1 cid n=1 of 5"]);
    assert.deepEqual(late.sink.told(), ["INTERVAL 9 -fay cid n=1 of 5"]);
    stage.set("cid", { n: "2" });
    pass();
    for (const { sink } of [early, late]) assert.deepEqual(sink.told(), ["INTERVAL 10 cid n=2 of 5"]);
  });

  it("tells a reader that begins in the middle nothing at the end where nothing came after", () => {
    const early = opened("ann");
    stage.set("bob", { n: "1" });
    const late = opened("dan");
    pass();
    assert.deepEqual(early.sink.told(), ["INTERVAL 6 bob n=1 of 5"]);
    assert.deepEqual(late.sink.told(), []);
  });

  it("gives a reader that resumes in the middle what it missed, and the rest at the end", () => {
    opened("ann");
    const { position } = stage.set("bob", { n: "1" });
    pass();
    stage.set("bob", { n: "2" });
    stage.set("dan", { own: "1" });
    const { sink } = stage.subscribe("dan", { resumeFrom: position });
    stage.set("bob", { n: "3" });
    stage.settle();
    assert.deepEqual(sink.told(), ["SUBSCRIBED 6", "state bob 7 n=2"]);
    pass();
    assert.deepEqual(sink.told(), ["INTERVAL 9 bob n=3 of 5"]);
  });

  it("does not tell a reader again what it was told as it resumed, though it reads slowly from then on", () => {
    opened("ann");
    const { position } = stage.set("bob", { n: "1" });
    pass();
    stage.leave("cid");
    const sink = new FakeSink();
    sink.stall();
    const { reader } = stage.subscribe("dan", { resumeFrom: position, sink });
    stage.settle();
    assert.equal(reader.state, "lagging");
    stage.set("bob", { n: "2" });
    pass();
    assert.deepEqual(sink.told(), ["SUBSCRIBED 6", "leave cid 7"]);
    sink.drain();
    assert.deepEqual(sink.told(), ["state bob 8 n=2"]);
  });

  it("S16a collapses for a slow reader what it misses of several intervals", () => {
    const { sink } = opened();
    sink.stall();
    stage.set("bob", { n: "1" });
    pass();
    sink.take();
    for (const n of ["2", "3"]) {
      stage.set("bob", { n });
      stage.join(`user ${n}`);
      pass();
    }
    assert.deepEqual(sink.told(), []);
    stage.set("bob", { n: "4" });
    sink.drain();
    assert.deepEqual(sink.told(), ["join user 2 8", "state bob 9 n=3", "join user 3 10"]);
    pass();
    assert.deepEqual(sink.told(), ["INTERVAL 11 bob n=4 of 7"]);
  });

  it("S16a shares one snapshot among all who need one within an interval", () => {
    let chunks = 0;
    const forChannel: EventCodec["forChannel"] = (channel, epoch) => {
      const codec = eventCodec.forChannel(channel, epoch);
      const snapshot = codec.snapshot.bind(codec);
      const counted: ChannelCodec["snapshot"] = (content) => {
        chunks += 1;
        return snapshot(content);
      };
      return Object.assign(codec, { snapshot: counted });
    };
    stage = new Stage({ paceOf, maxBacklogBytes: 500, codec: { ...eventCodec, forChannel } });
    for (const user of ["ann", "bob", "cid", "dan", "eve"]) stage.join(user);
    const sinks = [opened("ann"), opened("cid")].map(({ sink }) => sink);
    for (const sink of sinks) sink.stall();
    stage.set("bob", { n: "1" });
    pass();
    for (let i = 0; i < 10; i++) stage.join(`user ${i}`);
    pass();
    chunks = 0;
    for (const [i, sink] of sinks.entries()) {
      sink.take();
      sink.drain();
      stage.settle();
      stage.set("bob", { n: String(i + 2) });
    }
    assert.equal(chunks, 1);
    pass();
    for (const sink of sinks) assert.match(sink.told().join(" / "), /^SNAPSHOT 16 .* \/ INTERVAL 18 bob n=3 of 15$/);
  });

  it("parts what is more than one message may hold into several intervals, each of them whole", () => {
    const { sink } = opened();
    const states = { big: "x".repeat(16_000) };
    for (let i = 0; i < 100; i++) stage.join(`user ${i}`, states);
    stage.settle();
    const told = sink.take();
    assert.deepEqual([...new Set(told.map(({ event }) => event.case))], ["interval"]);
    pass();
    told.push(...sink.take());
    assert.ok(told.length >= 2, `${told.length} intervals`);
    const joined = told.flatMap(({ event }) => (event.case === "interval" ? event.value.joined : []));
    assert.deepEqual(
      joined,
      [...Array(100).keys()].map((i) => `user ${i}`),
    );
    for (const size of sink.sizes) assert.ok(size < 2 * 1024 * 1024, `${size} bytes`);
  });

  it("keeps no time when the last reader has gone in the middle of an interval", () => {
    const { reader } = opened();
    stage.set("bob", { n: "1" });
    assert.equal(stage.clock.pending, 1);
    reader.detach();
    assert.equal(stage.clock.pending, 0);
    stage.settle();
  });
});
