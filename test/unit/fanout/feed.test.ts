import assert from "node:assert/strict";
import { Hub } from "../../../src/fanout/hub.js";
import type { Delta } from "../../../src/model/delta.js";
import { eventCodec } from "../../../src/wire/event_codec.js";
import { FakeSink } from "./fake_sink.js";
import { FeedStage, room } from "./feed_stage.js";

const A = room("a");
const B = room("b");

describe("fanout: feeds", () => {
  it("S16 tells what happens after SUBSCRIBED, in channels that nobody subscribes to", () => {
    const stage = new FeedStage();
    stage.join(A, "early");
    const { sink, reader } = stage.watch();
    assert.equal(reader.state, "live");
    stage.join(A, "ann", { mood: "fine" });
    stage.join(B, "bob");
    stage.leave(B, "bob");
    stage.vanish(A, "early");
    assert.deepEqual(sink.toldOfChannels(), ["SUBSCRIBED"]);
    stage.flush();
    assert.deepEqual(sink.toldOfChannels(), [
      "join ann 2 @a",
      "state ann 3 mood=fine @a",
      "timeout early 4 @a",
      "channeloccupied  5 @b",
      "join bob 5 @b",
      "leave bob 6 @b",
      "channelvacated  6 @b",
    ]);
  });

  it("S15 tells snapshots of occupied channels first, and not again what they hold", () => {
    const stage = new FeedStage();
    const other = stage.watch();
    stage.join(A, "ann", { mood: "fine" });
    stage.join(B, "bob");
    stage.leave(B, "bob");
    const { sink } = stage.watch({ withSnapshot: true });
    assert.deepEqual(sink.toldOfChannels(), ["SUBSCRIBED", "SNAPSHOT 2 ann mood=fine @a", "SNAPSHOT"]);
    stage.flush();
    assert.deepEqual(sink.toldOfChannels(), []);
    assert.equal(other.sink.toldOfChannels().length, 8);
    stage.leave(A, "ann");
    stage.flush();
    assert.deepEqual(sink.toldOfChannels(), ["leave ann 3 @a", "channelvacated  3 @a"]);
  });

  it("S15 spreads a round of very many channels over turns, and tells what happens meanwhile in its place", () => {
    const stage = new FeedStage();
    const names = Array.from({ length: 2000 }, (_, i) => `room ${i}`);
    for (const name of names) stage.join(room(name), name);
    const { sink, view, filter, reader } = stage.view({ withSnapshot: true });
    assert.ok(view.users.size > 0 && view.users.size < 1000, "a part at a time");
    for (let i = 0; i < 2000; i += 100) {
      stage.leave(room(names[i]!), names[i]!);
      stage.set(room(names[i + 1]!), names[i + 1]!, { at: String(i) });
      stage.flush();
    }
    while (stage.flush());
    assert.equal(stage.broken, undefined);
    assert.deepEqual([view.complete, reader.state], [true, "live"]);
    assert.deepEqual(view.users, stage.truth(filter));
    assert.ok(Math.max(...sink.sizes) < 64 * 1024);
  });

  it("writes one and the same message to all watchers of everything", () => {
    const stage = new FeedStage();
    const written: Uint8Array[] = [];
    class KeepingSink extends FakeSink {
      override write(message: Uint8Array): boolean {
        written.push(message);
        return super.write(message);
      }
    }
    for (let i = 0; i < 3; i++) stage.watch({ sink: new KeepingSink() });
    written.splice(0);
    stage.join(A, "ann");
    stage.join(B, "ann");
    stage.flush();
    assert.equal(written.length, 3);
    assert.equal(new Set(written).size, 1);
    assert.equal(stage.feed.stats().delivered, 6);
  });

  it("follows the source only while there are watchers, and only their channels cost encoding", async () => {
    let watches = 0;
    const stage = new FeedStage({}, (engine) => ({
      snapshot: (channel) => engine.snapshot(channel),
      summary: (channel) => engine.summary(channel),
      occupied: () => engine.occupied(),
      watchAll: (onNews) => {
        watches += 1;
        const stop = engine.watchAll(onNews) as () => void;
        return () => {
          watches -= 1;
          stop();
        };
      },
    }));
    assert.equal(watches, 0);
    const first = stage.watch({ channels: [A] });
    const second = stage.watch({ channels: [A] });
    assert.equal(watches, 1);
    stage.join(B, "bob");
    assert.equal(stage.flush(), false, "nothing to flush");
    first.reader.detach();
    first.reader.detach();
    assert.equal(watches, 1);
    second.reader.end(undefined);
    assert.equal(watches, 0);
    const third = stage.watch();
    stage.join(A, "ann");
    stage.flush();
    assert.deepEqual(third.sink.toldOfChannels(), ["SUBSCRIBED", "channeloccupied  3 @a", "join ann 3 @a"]);
    assert.deepEqual(stage.feed.stats().watchers, { live: 1, lagging: 0, resyncing: 0 });
  });

  it("encodes a change once, for a channel's subscribers and for watchers", () => {
    const encoded: Delta[] = [];
    const stage = new FeedStage();
    stage.watch();
    const flushes: (() => void)[] = [];
    const hub = new Hub({
      clock: stage.clock,
      codec: stage.codec,
      source: stage.engine,
      maxBacklogBytes: 1000,
      laggingTimeoutMs: 1000,
      paceOf: () => ({ announceMax: 500, intervalMs: 1000 }),
      schedule: (flush) => flushes.push(flush),
      onDropped: () => {},
    });
    const inner = eventCodec.forChannel;
    try {
      eventCodec.forChannel = (channel, epoch) => {
        const codec = inner(channel, epoch);
        const delta = codec.delta.bind(codec);
        codec.delta = (one, state) => {
          encoded.push(one);
          return delta(one, state);
        };
        return codec;
      };
      const sink = new FakeSink();
      const terms = {
        userId: "ann",
        sessionId: "s",
        presenceTimeoutMs: 0,
        resumed: false,
        occupancy: 0,
        heartbeatMs: 0,
      };
      hub.subscribe(A, { userId: "rosa", includeSelf: false, terms, revision: 0, time: 0, missed: undefined }, sink);
      for (const flush of flushes.splice(0)) flush();
      for (const feedFirst of [true, false]) {
        encoded.splice(0);
        stage.join(A, `ann ${feedFirst}`, { mood: "fine" });
        if (feedFirst) stage.flush();
        for (const flush of flushes.splice(0)) flush();
        stage.flush();
        assert.equal(encoded.length, 2);
      }
      assert.equal(sink.toldOfChannels().length, 6);
    } finally {
      eventCodec.forChannel = inner;
    }
  });

  describe("a slow watcher", () => {
    it("S16a is told the outcome, per channel and user, and not of channels that are as they were", () => {
      const stage = new FeedStage();
      stage.join(A, "ann");
      const { sink, reader } = stage.watch();
      sink.take();
      sink.stall();
      stage.set(A, "ann", { n: "0" });
      stage.flush();
      sink.take();
      assert.equal(reader.state, "lagging");
      stage.join(B, "bob");
      for (const n of ["1", "2", "3"]) stage.set(A, "ann", { n });
      stage.leave(B, "bob");
      stage.join(A, "cid");
      stage.leave(A, "ann");
      stage.flush();
      assert.deepEqual(sink.toldOfChannels(), []);
      sink.drain();
      assert.deepEqual(sink.toldOfChannels(), ["join cid 6 @a", "leave ann 7 @a"]);
      assert.equal(reader.state, "live");
    });

    it("S16a counts in occupancies those it was told of", () => {
      const stage = new FeedStage();
      stage.join(A, "ann");
      const { sink } = stage.watch();
      sink.stall();
      stage.set(A, "ann", { n: "0" });
      stage.flush();
      stage.join(A, "bob");
      stage.leave(A, "ann");
      stage.leave(A, "bob");
      stage.join(A, "cid");
      stage.flush();
      sink.take();
      sink.drain();
      const told = sink.take().map(({ event }) => [event.case, (event.value as { occupancy?: number }).occupancy]);
      assert.deepEqual(told, [
        ["remoteLeave", 0],
        ["channelVacated", undefined],
        ["channelOccupied", undefined],
        ["remoteJoin", 1],
      ]);
    });

    for (const withSnapshot of [true, false]) {
      it(`S16a past the bound is told that events were lost${withSnapshot ? ", and snapshots again" : ""}`, () => {
        const stage = new FeedStage({ maxBacklogBytes: 500 });
        stage.join(A, "ann");
        stage.join(B, "bob");
        const { sink, reader } = stage.watch({ withSnapshot });
        sink.take();
        sink.stall();
        stage.set(A, "ann", { n: "0" });
        stage.flush();
        sink.take();
        stage.leave(B, "bob");
        for (let i = 0; i < 10; i++) stage.join(A, `user ${i}`);
        stage.flush();
        assert.equal(reader.state, "resyncing");
        stage.join(B, "cid");
        stage.flush();
        for (let i = 0; i < 10; i++) stage.leave(A, `user ${i}`);
        sink.drain();
        stage.flush();
        const lost = ["OUT_OF_SERVICE"];
        const again = ["SNAPSHOT 22 ann n=0 @a", "SNAPSHOT 5 cid @b", "SNAPSHOT"];
        assert.deepEqual(sink.toldOfChannels(), withSnapshot ? [...lost, ...again] : lost);
        assert.equal(reader.state, "live");
        stage.leave(B, "cid");
        stage.flush();
        assert.deepEqual(sink.toldOfChannels(), ["leave cid 6 @b", "channelvacated  6 @b"]);
      });
    }

    it("S16a is counted, ended when it takes nothing for the lagging timeout, and delays nobody", () => {
      const stage = new FeedStage({ laggingTimeoutMs: 60_000 });
      const slow = stage.watch();
      const other = stage.watch();
      slow.sink.stall();
      stage.join(A, "ann");
      stage.flush();
      assert.deepEqual(stage.feed.stats().watchers, { live: 1, lagging: 1, resyncing: 0 });
      stage.clock.advance(59_999);
      stage.leave(A, "ann");
      stage.flush();
      assert.equal(other.sink.toldOfChannels().length, 5);
      slow.sink.drain(1);
      stage.clock.advance(59_999);
      assert.equal(slow.sink.ended, undefined, "it took something");
      stage.clock.advance(1);
      assert.equal(slow.sink.ended!.error?.reason, "SUBSCRIBER_TOO_SLOW");
      assert.ok(slow.sink.ended!.aborted);
      assert.deepEqual(
        stage.dropped.map(([reader]) => reader),
        [slow.reader],
      );
      assert.deepEqual(stage.feed.stats().watchers, { live: 1, lagging: 0, resyncing: 0 });
    });
  });

  for (const failing of ["watchAll", "occupied", "snapshot"] as const) {
    for (const later of [false, true]) {
      it(`S22 ends watchers when ${failing} fails ${later ? "later" : "at once"}, and serves those who come next`, async () => {
        let fail = true;
        const refuse = () => {
          if (later) return Promise.reject(new Error("connection lost"));
          throw new Error("connection lost");
        };
        const stage = new FeedStage({}, (engine) => ({
          watchAll: (onNews) => (fail && failing === "watchAll" ? refuse() : engine.watchAll(onNews)),
          occupied: () => (fail && failing === "occupied" ? refuse() : engine.occupied()),
          summary: (channel) => engine.summary(channel),
          snapshot: (channel) => (fail && failing === "snapshot" ? refuse() : engine.snapshot(channel)),
        }));
        stage.join(A, "ann");
        const { sink, reader } = stage.watch({ withSnapshot: true });
        await stage.settle();
        assert.equal(sink.ended?.error?.reason, "PRESENCE_OUT_OF_SERVICE");
        assert.ok(sink.ended.error.retryAfterMs! > 0);
        assert.deepEqual(
          stage.dropped.map(([dropped]) => dropped),
          [reader],
        );
        fail = false;
        const next = stage.watch({ withSnapshot: true });
        await stage.settle();
        assert.deepEqual(next.sink.toldOfChannels(), ["SUBSCRIBED", "SNAPSHOT 1 ann @a", "SNAPSHOT"]);
      });
    }
  }
});
