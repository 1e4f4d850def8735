import assert from "node:assert/strict";
import { ChannelFilter } from "../../../src/fanout/channel_filter.js";
import { type ChannelId, channelKey } from "../../../src/model/channel_id.js";
import { room } from "./feed_stage.js";

const stream = (name: string): ChannelId => ({ type: 2, name });
const ALL = [room("a1"), room("a2"), room("b1"), stream("a1"), stream("b1")];

/** Which of the channels a filter lets through, as `1:a1`. */
function passing(filter: ChannelFilter): string[] {
  return ALL.filter((channel) => filter.matches(channel, channelKey(channel))).map(channelKey);
}

describe("fanout: channel filters", () => {
  it("let all channels through that ask for none", () => {
    const filter = new ChannelFilter([], "");
    assert.deepEqual(passing(filter), ALL.map(channelKey));
    assert.deepEqual([filter.all, filter.named], [true, undefined]);
  });

  it("let listed channels through, by type and name, and name each once", () => {
    const filter = new ChannelFilter([room("a1"), stream("b1"), room("a1")], "");
    assert.deepEqual(passing(filter), ["1:a1", "2:b1"]);
    assert.deepEqual([filter.all, filter.named], [false, [room("a1"), stream("b1")]]);
  });

  it("let names with a prefix through, of either type, beside the listed ones", () => {
    assert.deepEqual(passing(new ChannelFilter([], "a")), ["1:a1", "1:a2", "2:a1"]);
    const both = new ChannelFilter([room("b1")], "a2");
    assert.deepEqual(passing(both), ["1:a2", "1:b1"]);
    assert.deepEqual([both.all, both.named], [false, undefined]);
  });
});
