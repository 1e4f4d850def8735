import assert from "node:assert/strict";
import fc from "fast-check";
import { appOf, type ChannelId, channelKey, parseChannelKey, userKey } from "../../../src/model/channel_id.js";
import { property } from "../../support/property.js";

/** Any text that may be a name: no control characters, and some that look like parts of keys. */
const name = fc
  .oneof(fc.string({ unit: "grapheme", minLength: 1, maxLength: 8 }), fc.constantFrom("a", "a:b", "1:a", ":", "ab"))
  .map((text) => text.replace(/\p{Cc}/gu, "·"));
const app = fc.oneof(fc.constant(""), name);
const type = fc.constantFrom(1 as const, 2 as const);
const channel: fc.Arbitrary<ChannelId> = fc.record({ type, name, app });

describe("model: channel ids", () => {
  const same = (a: ChannelId, b: ChannelId): boolean => a.type === b.type && a.name === b.name && appOf(a) === appOf(b);

  property("S20 a key is of one channel of one app alone", [channel, channel], (a, b) => {
    assert.equal(channelKey(a) === channelKey(b), same(a, b));
  });

  property("a channel comes back out of its key", [channel], (id) => {
    assert.ok(same(parseChannelKey(channelKey(id)), id));
  });

  property("S20 a user's key is of one user of one app alone", [app, name, app, name], (app1, user1, app2, user2) => {
    assert.equal(userKey(app1, user1) === userKey(app2, user2), app1 === app2 && user1 === user2);
  });

  property("S19 within an app keys sort as names do", [app, name, name], (sameApp, a, b) => {
    const key = (text: string) => channelKey({ type: 1, name: text, app: sameApp });
    assert.equal(key(a) < key(b), a < b);
  });
});
