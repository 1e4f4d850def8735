import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { type PresenceEvent, PresenceEventSchema } from "../../../gen/presence/v1/presence_pb.js";
import { FeedView } from "../../guarantees/feed_view.js";

type Body = PresenceEvent["event"];

/** An event of the feed itself. */
const ofFeed = (event: object): PresenceEvent => create(PresenceEventSchema, { event: event as Body });

/** An event of the channel `a`. */
function inChannel(revision: number, event: object, userId = "", epoch = "e"): PresenceEvent {
  const position = { epoch, revision: BigInt(revision) };
  return create(PresenceEventSchema, { channel: { type: 1, name: "a" }, position, userId, event: event as Body });
}

const BEGUN = ofFeed({ case: "subscribed", value: {} });
const COMPLETE = ofFeed({ case: "snapshot", value: { last: true } });
const LOST = ofFeed({ case: "outOfService", value: {} });
const occupied = (revision: number, epoch?: string) =>
  inChannel(revision, { case: "channelOccupied", value: {} }, "", epoch);
const vacated = (revision: number) => inChannel(revision, { case: "channelVacated", value: {} });
const join = (revision: number, userId: string, occupancy: number, epoch?: string) =>
  inChannel(revision, { case: "remoteJoin", value: { occupancy } }, userId, epoch);
const leave = (revision: number, userId: string, occupancy: number) =>
  inChannel(revision, { case: "remoteLeave", value: { occupancy } }, userId);
const state = (revision: number, userId: string) =>
  inChannel(revision, { case: "remoteStateChanged", value: { state: { userId, states: { a: "1" } } } }, userId);
const snapshot = (revision: number, users: string[], last = true, occupancy = users.length) =>
  inChannel(revision, { case: "snapshot", value: { users: users.map((userId) => ({ userId })), last, occupancy } });

function viewOf(...events: PresenceEvent[]): FeedView {
  const view = new FeedView(true);
  for (const event of events) view.apply(event);
  return view;
}

describe("guarantees: a feed", () => {
  it("accepts what a right feed tells, and knows who is where", () => {
    const view = viewOf(
      BEGUN,
      snapshot(3, ["ann"], false, 2),
      snapshot(3, ["bob"], true, 2),
      COMPLETE,
      leave(4, "ann", 1),
      leave(5, "bob", 0),
      vacated(5),
      occupied(6),
      join(6, "cid", 1),
      state(7, "cid"),
    );
    assert.deepEqual([...view.users], [["1:a", new Map([["cid", { a: "1" }]])]]);
    assert.equal(view.complete, true);
    view.apply(LOST);
    assert.deepEqual([view.users.size, view.complete, view.losses], [0, false, 1]);
    view.apply(snapshot(2, ["dan"]));
    view.apply(COMPLETE);
    assert.deepEqual([...view.users.keys()], ["1:a"]);
  });

  const broken: [what: string, events: PresenceEvent[], complaint: RegExp][] = [
    ["that does not begin", [occupied(1)], /first event/],
    ["that begins twice", [BEGUN, BEGUN], /first event/],
    ["whose round ends twice", [BEGUN, COMPLETE, COMPLETE], /over once/],
    ["with a join in a vacant channel", [BEGUN, join(1, "ann", 1)], /occupied before ann joins/],
    ["that is occupied twice", [BEGUN, occupied(1), join(1, "ann", 1), occupied(2)], /occupied already/],
    ["that is occupied after a snapshot", [BEGUN, snapshot(1, ["ann"]), occupied(2)], /occupied already/],
    ["that is vacated twice", [BEGUN, occupied(1), vacated(1), vacated(2)], /vacant already/],
    ["that is vacated too soon", [BEGUN, snapshot(1, ["ann"]), vacated(2)], /when the last has gone/],
    ["with two joins in a row", [BEGUN, snapshot(1, ["ann"]), join(2, "ann", 2)], /ann was in/],
    ["with a leave out of nowhere", [BEGUN, snapshot(1, ["ann"]), leave(2, "bob", 0)], /bob was not in/],
    ["with a state out of nowhere", [BEGUN, snapshot(1, ["ann"]), state(2, "bob")], /bob was not in/],
    ["that goes back", [BEGUN, snapshot(3, ["ann"]), state(2, "ann")], /in order/],
    ["that repeats an event", [BEGUN, snapshot(3, ["ann"]), state(4, "ann"), state(4, "ann")], /in order/],
    ["that counts wrong", [BEGUN, snapshot(1, ["ann"]), join(2, "bob", 3)], /strictly equal/],
    ["with an event amid a snapshot", [BEGUN, snapshot(1, ["ann"], false, 2), state(2, "ann")], /amid its snapshot/],
    ["with half a snapshot", [BEGUN, snapshot(1, ["ann"], true, 2)], /strictly equal/],
    ["that tells a channel twice", [BEGUN, snapshot(1, ["ann"]), snapshot(1, ["ann"])], /tells 1:a once/],
    ["with another life amid one", [BEGUN, snapshot(1, ["ann"]), occupied(1, "f")], /another life/],
    ["with an interval", [BEGUN, snapshot(1, ["ann"]), inChannel(2, { case: "interval", value: {} })], /in a feed/],
  ];
  for (const [what, events, complaint] of broken) {
    it(`sees one ${what}`, () => {
      const last = events.pop()!;
      const view = viewOf(...events);
      assert.throws(() => view.apply(last), complaint);
    });
  }
});
