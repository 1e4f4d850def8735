import assert from "node:assert/strict";
import type { EventCodec } from "../../../src/fanout/ports.js";
import { eventCodec } from "../../../src/wire/event_codec.js";
import type { FakeSink } from "./fake_sink.js";
import { Stage } from "./stage.js";

/** Channels that take several turns to be taken in and to be put into a SNAPSHOT (S15). */
describe("fanout: a snapshot of several turns", () => {
  let stage: Stage;

  function start(users: number, codec: EventCodec = eventCodec): void {
    stage = new Stage({ codec, paceOf: () => ({ announceMax: 1_000_000, intervalMs: 1000 }) });
    for (let i = 0; i < users; i++) stage.join(`user ${i}`);
  }

  /** What a reader was told: kinds, revisions, and the number of users in each chunk. */
  function told(sink: FakeSink) {
    return sink.take().map(({ event, position }) => {
      const users = event.case === "snapshot" ? [event.value.users.length, event.value.last] : [];
      return [event.case, Number(position!.revision), ...users];
    });
  }

  it("begins the stream before the first chunk is built, and is as of one position, whatever happens meanwhile", () => {
    start(1200);
    const { sink, reader } = stage.subscribe("user 0");
    stage.flush();
    assert.deepEqual(told(sink), [["subscribed", 1200]]);
    stage.leave("user 1199");
    stage.set("user 1", { n: "1" });
    stage.flush();
    assert.deepEqual(told(sink), []);
    stage.settle();
    assert.deepEqual(told(sink), [
      ["snapshot", 1200, 1200, true],
      ["remoteLeave", 1201],
      ["remoteStateChanged", 1202],
    ]);
    assert.equal(reader.state, "live");
  });

  it("is followed by another one for those who come while it is built", () => {
    start(1200);
    const first = stage.subscribe("user 0");
    stage.flush();
    stage.join("late");
    const late = stage.subscribe("late");
    const later = stage.subscribe("late");
    stage.settle();
    assert.deepEqual(told(first.sink).slice(1), [
      ["snapshot", 1200, 1200, true],
      ["remoteJoin", 1201],
    ]);
    for (const { sink } of [late, later]) {
      assert.deepEqual(told(sink), [
        ["subscribed", 1201],
        ["snapshot", 1201, 1201, true],
      ]);
    }
  });

  it("loses nothing that happens while a large channel is being taken in", () => {
    start(12_000);
    const { sink } = stage.subscribe("user 0");
    stage.leave("user 11999");
    stage.flush();
    stage.leave("user 1");
    stage.join("new");
    stage.settle();
    const events = told(sink);
    assert.deepEqual(events[0], ["subscribed", 12_000]);
    assert.deepEqual(
      new Set(events.slice(1).map(([kind, revision]) => `${kind} ${revision}`)),
      new Set(["snapshot 12003"]),
    );
    const users = events.slice(1).reduce((sum, [, , users]) => sum + Number(users), 0);
    assert.equal(users, 11_999);
  });

  it("is taken in and encoded once for readers who come and go, and forgotten 5 s after the last", () => {
    let encoded = 0;
    let asked = 0;
    const codec: EventCodec = {
      forChannel: (...args) => eventCodec.forChannel(...args),
      state: (state) => eventCodec.state(state),
      users: (users, maxBytes) => {
        encoded += users.length;
        return eventCodec.users(users, maxBytes);
      },
    };
    start(12_000, codec);
    const { snapshot } = stage.engine;
    stage.engine.snapshot = (channel) => {
      asked += 1;
      return snapshot.call(stage.engine, channel);
    };
    stage.subscribe("user 0").reader.detach();
    stage.settle();
    for (let i = 0; i < 20; i++) {
      const { sink, reader } = stage.subscribe("user 0");
      stage.settle();
      const events = told(sink);
      assert.equal(events.at(-1)!.at(-1), true, "the last chunk");
      reader.detach();
      stage.clock.advance(200);
    }
    assert.deepEqual([asked, encoded], [1, 12_000]);
    stage.set("user 1", { mood: "other" });
    stage.clock.advance(5000);
    stage.settle();
    assert.deepEqual([stage.hub.stats().channels, stage.clock.pending], [0, 0]);
  });
});
