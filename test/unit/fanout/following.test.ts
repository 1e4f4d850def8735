import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { Hub } from "../../../src/fanout/hub.js";
import type { Reader } from "../../../src/fanout/reader.js";
import type { Delta } from "../../../src/model/delta.js";
import type { PresenceError } from "../../../src/model/errors.js";
import { eventCodec } from "../../../src/wire/event_codec.js";
import { ManualClock } from "../../support/manual_clock.js";
import { DeltaMaker } from "./deltas.js";
import { FakeSink } from "./fake_sink.js";
import { ManualSource } from "./manual_source.js";
import { ROOM } from "./stage.js";

/** The channel as it is, as the engine would tell it. */
function snapshotOf(channel: DeltaMaker) {
  const users = [...channel.present].map(([userId, states]) => {
    return { userId, states, revision: 0, updateTime: undefined, joinTime: 0 };
  });
  return { position: { epoch: "epoch", revision: channel.revision }, users };
}

describe("fanout: following an engine that is far away", () => {
  const flushes: (() => void)[] = [];
  let source: ManualSource;
  let hub: Hub;
  let channel: DeltaMaker;
  let dropped: [Reader, PresenceError][];

  beforeEach(() => {
    source = new ManualSource();
    channel = new DeltaMaker();
    dropped = [];
    hub = new Hub({
      clock: new ManualClock(),
      codec: eventCodec,
      source,
      maxBacklogBytes: 100_000,
      laggingTimeoutMs: 60_000,
      paceOf: () => ({ announceMax: 500, intervalMs: 1000 }),
      schedule: (flush) => flushes.push(flush),
      onDropped: (reader, error) => dropped.push([reader, error]),
    });
  });

  function subscribe(revision: number, missed?: { from: number; deltas: readonly Delta[] }) {
    const sink = new FakeSink();
    const terms = { userId: "ann", sessionId: "s", presenceTimeoutMs: 0, resumed: false, occupancy: 1, heartbeatMs: 0 };
    const options = { userId: "rosa", includeSelf: false, terms, revision, time: 0, missed };
    return { sink, reader: hub.subscribe(ROOM, options, sink) };
  }

  /** Lets what was promised arrive, and the hub write. */
  async function settle(): Promise<void> {
    do {
      await turn();
      for (const flush of flushes.splice(0)) flush();
    } while (flushes.length > 0);
  }

  it("S15 S16 loses nothing that happens while the watch begins and the snapshot is on its way", async () => {
    channel.make("join", "ann");
    const { sink } = subscribe(1);
    const late = subscribe(1);
    await settle();
    assert.deepEqual(sink.told(), []);
    source.watches[0]!.resolve();
    await settle();
    source.tell(channel.make("join", "bob")!);
    const snapshot = snapshotOf(channel);
    source.tell(channel.make("join", "cid")!, channel.make("leave", "ann")!);
    await settle();
    assert.deepEqual(sink.told(), []);
    source.snapshots[0]!.resolve(snapshot);
    await settle();
    for (const reader of [sink, late.sink]) assert.deepEqual(reader.told(), ["SUBSCRIBED 1", "SNAPSHOT 4 bob cid"]);
    source.tell(channel.make("leave", "bob")!);
    await settle();
    assert.deepEqual(sink.told(), ["leave bob 5"]);
  });

  it("S15 S16 takes a snapshot for newer than news that come behind it", async () => {
    channel.make("join", "ann");
    const { sink, reader } = subscribe(1);
    source.watches[0]!.resolve();
    await settle();
    source.tell(channel.make("join", "bob")!, channel.make("join", "cid")!);
    const late = [channel.make("state", "bob", { b: "1" })!, channel.make("state", "bob", { b: "2" })!];
    late.push(channel.make("leave", "cid")!);
    source.snapshots[0]!.resolve(snapshotOf(channel));
    await settle();
    assert.deepEqual(sink.told(), ["SUBSCRIBED 1", "SNAPSHOT 6 ann bob b=2"]);
    source.tell(late[0]!);
    const another = subscribe(6);
    await settle();
    source.tell(late[1]!, late[2]!, channel.make("leave", "bob")!);
    await settle();
    assert.deepEqual(sink.told(), ["leave bob 7"]);
    assert.deepEqual(another.sink.told(), ["SUBSCRIBED 6", "SNAPSHOT 6 ann bob b=2", "leave bob 7"]);
    assert.equal(reader.state, "live");
  });

  it("S16 does not give a reader a SNAPSHOT of a time before it joined", async () => {
    channel.make("join", "ann");
    const early = subscribe(1);
    source.watches[0]!.resolve();
    await settle();
    source.snapshots[0]!.resolve(snapshotOf(channel));
    await settle();
    early.sink.take();
    const join = channel.make("join", "rosa")!;
    const { sink } = subscribe(join.revision);
    await settle();
    assert.deepEqual(sink.told(), []);
    source.tell(join);
    await settle();
    assert.deepEqual(sink.told(), ["SUBSCRIBED 2", "SNAPSHOT 2 ann rosa"]);
  });

  it("S16 does not tell again what a reader that resumed heard before the news came", async () => {
    channel.make("join", "ann");
    const early = subscribe(1);
    source.watches[0]!.resolve();
    await settle();
    source.snapshots[0]!.resolve(snapshotOf(channel));
    await settle();
    const deltas = [channel.make("state", "ann", { a: "1" })!, channel.make("state", "ann", { a: "2" })!];
    const { sink } = subscribe(3, { from: 1, deltas });
    await settle();
    assert.deepEqual(sink.told(), ["SUBSCRIBED 1", "state ann 2 a=1", "state ann 3 a=2"]);
    source.tell(deltas[0]!);
    await settle();
    source.tell(deltas[1]!, channel.make("leave", "ann")!);
    await settle();
    assert.deepEqual(sink.told(), ["leave ann 4"]);
    assert.deepEqual(early.sink.told().slice(2), ["state ann 2 a=1", "state ann 3 a=2", "leave ann 4"]);
  });

  it("stops watching when all readers have gone meanwhile", async () => {
    const { reader } = subscribe(0);
    reader.detach();
    source.watches[0]!.resolve();
    await settle();
    source.snapshots[0]!.resolve(snapshotOf(channel));
    await settle();
    assert.equal(source.stopped, 1);
    assert.equal(hub.stats().channels, 0);
  });

  for (const failing of ["watch", "snapshot"] as const) {
    it(`S3 S22 ends readers when the ${failing} fails, as drops, and tries again for those who come next`, async () => {
      const first = subscribe(0);
      const second = subscribe(0);
      if (failing === "snapshot") {
        source.watches[0]!.resolve();
        await settle();
        source.snapshots[0]!.reject(new Error("connection lost"));
      } else {
        source.watches[0]!.reject(new Error("connection lost"));
      }
      await settle();
      for (const { sink, reader } of [first, second]) {
        assert.equal(reader.state, "closed");
        assert.equal(sink.ended?.error?.reason, "PRESENCE_OUT_OF_SERVICE");
        assert.ok(sink.ended.error.retryAfterMs! > 0);
      }
      assert.deepEqual(
        dropped.map(([reader, { reason }]) => [reader, reason]),
        [first, second].map(({ reader }) => [reader, "PRESENCE_OUT_OF_SERVICE"]),
      );
      assert.equal(source.stopped, failing === "snapshot" ? 1 : 0);
      assert.deepEqual(hub.stats().channels, 0);
      assert.deepEqual(hub.stats().readers, { live: 0, lagging: 0, resyncing: 0 });

      const { sink } = subscribe(0);
      source.watches[1]!.resolve();
      await settle();
      source.snapshots.at(-1)!.resolve(snapshotOf(channel));
      await settle();
      assert.deepEqual(sink.told(), ["SUBSCRIBED 0", "SNAPSHOT 0"]);
    });
  }
});
