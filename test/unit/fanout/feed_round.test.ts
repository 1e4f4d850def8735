import assert from "node:assert/strict";
import { ChannelNews } from "../../../src/fanout/feed_news.js";
import { after } from "../../../src/fanout/feed_round.js";
import { channelKey } from "../../../src/model/channel_id.js";
import type { Delta } from "../../../src/model/delta.js";
import type { Position } from "../../../src/model/position.js";
import { eventCodec } from "../../../src/wire/event_codec.js";
import { DeltaMaker } from "./deltas.js";

const id = { type: 1 as const, name: "a" };

/** The revisions of those news of a life that came after a snapshot at that position. */
function afterSnapshot(epoch: string, deltas: readonly Delta[], position: Position): number[] {
  const news = new ChannelNews({ id, key: channelKey(id), epoch, codec: eventCodec.forChannel(id, epoch) });
  news.deltas.push(...deltas);
  return after(news, { position }).map(({ delta }) => delta.revision);
}

describe("fanout: news of a channel, compared with a snapshot", () => {
  /** ann joins and leaves, then bob joins: revisions 101 to 103. */
  const channel = new DeltaMaker(100);
  const deltas = [channel.make("join", "ann")!, channel.make("leave", "ann")!, channel.make("join", "bob")!];

  it("are later with a greater revision of the same life", () => {
    const at = (revision: number) => afterSnapshot("one", deltas, { epoch: "one", revision });
    assert.deepEqual([at(100), at(102), at(103)], [[101, 102, 103], [103], []]);
  });

  it("are later when they are of a later life, and late when they are of an earlier one", () => {
    assert.deepEqual(afterSnapshot("two", deltas, { epoch: "one", revision: 99 }), [101, 102, 103]);
    assert.deepEqual(afterSnapshot("two", deltas.slice(1), { epoch: "one", revision: 99 }), [102, 103]);
    assert.deepEqual(afterSnapshot("one", deltas, { epoch: "two", revision: 2000 }), []);
  });

  it("are later from the first join of a life on, when the source knew nothing of the channel", () => {
    const unknown = { epoch: "", revision: 0 };
    assert.deepEqual(afterSnapshot("one", deltas, unknown), [101, 102, 103]);
    assert.deepEqual(afterSnapshot("one", deltas.slice(1, 2), unknown), []);
    assert.deepEqual(afterSnapshot("one", deltas.slice(1), unknown), [103]);
  });
});
