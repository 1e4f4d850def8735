import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import { PresenceEventSchema } from "../../../gen/presence/v1/presence_pb.js";
import { applyEvent, applyState } from "../../../src/client/apply_event.js";
import { EventReader } from "../../../src/client/event_reader.js";
import type { PresenceEvent } from "../../../src/client/events.js";
import type { UserState } from "../../../src/client/types.js";
import { at, changed, type EventInit, event, join, leave, NOON, snapshot, subscribed, user } from "./fake_service.js";

/** Reads messages as a stream would, and applies what comes of them. */
function receive(members: Map<string, UserState>, messages: EventInit[], reader = new EventReader()): PresenceEvent[] {
  const events: PresenceEvent[] = [];
  for (const message of messages) {
    const read = reader.read(create(PresenceEventSchema, message));
    if (!read || read.kind === "unknown") continue;
    events.push(read);
    applyEvent(members, read);
  }
  return events;
}

function statesOf(members: ReadonlyMap<string, UserState>): Record<string, unknown> {
  return Object.fromEntries([...members].sort().map(([userId, { states }]) => [userId, { ...states }]));
}

describe("applyEvent", () => {
  it("makes a member without state of a join, present since the event's time", () => {
    const members = new Map<string, UserState>();
    receive(members, [join(2, "tony")]);
    assert.deepEqual(members.get("tony"), { userId: "tony", states: {}, revision: 0n, joinTime: NOON });
  });

  it("replaces the whole state at a state change (S11)", () => {
    const members = new Map<string, UserState>();
    receive(members, [
      join(2, "tony"),
      changed(3, "tony", { Mode: "Happy", Mic: "False" }),
      changed(4, "tony", { Mic: "True" }),
    ]);
    assert.deepEqual(statesOf(members), { tony: { Mic: "True" } });
    assert.equal(members.get("tony")?.revision, 4n);
  });

  it("forgets who left and who timed out", () => {
    const members = new Map<string, UserState>();
    const timeout = event(5, { userId: "anna", event: { case: "remoteTimeout", value: { occupancy: 0 } } });
    receive(members, [join(2, "tony"), join(3, "anna"), leave(4, "tony"), timeout]);
    assert.equal(members.size, 0);
  });

  it("replaces everything at a snapshot (S15)", () => {
    const members = new Map<string, UserState>();
    receive(members, [join(2, "gone"), snapshot(9, [user("tony", { a: "1" }, 5)])]);
    assert.deepEqual(statesOf(members), { tony: { a: "1" } });
  });

  it("gathers the chunks of a snapshot into one event", () => {
    const members = new Map<string, UserState>();
    const chunks = [snapshot(5, [user("a")], false), snapshot(5, [user("b")], false), snapshot(5, [user("c")])];
    const events = receive(members, [subscribed(), ...chunks]);
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ["subscribed", "snapshot"],
    );
    assert.deepEqual([...members.keys()], ["a", "b", "c"]);
  });

  it("voids an unfinished snapshot when a chunk of another position comes", () => {
    const members = new Map<string, UserState>();
    receive(members, [snapshot(5, [user("old")], false), snapshot(6, [user("new")])]);
    assert.deepEqual([...members.keys()], ["new"]);
  });

  it("begins a new snapshot after a complete one, even at the same position", () => {
    const members = new Map<string, UserState>();
    receive(members, [snapshot(5, [user("a")]), snapshot(5, [user("b")])]);
    assert.deepEqual([...members.keys()], ["b"]);
  });

  it("applies an interval's lists in the contract's order: left, timed out, joined, changed (S18)", () => {
    const members = new Map<string, UserState>();
    const value = {
      joined: ["back", "again"],
      left: ["back"],
      timedOut: ["again", "lost"],
      changed: [user("back", { a: "1" }, 7)],
      occupancy: 2,
    };
    receive(members, [
      snapshot(2, [user("back"), user("again"), user("lost")]),
      event(9, { event: { case: "interval", value } }),
    ]);
    assert.deepEqual(statesOf(members), { again: {}, back: { a: "1" } });
  });

  it("passes over what is older than what is known of a user", () => {
    const members = new Map<string, UserState>();
    receive(members, [snapshot(2, [user("tony", { a: "1" }, 2)])]);
    applyState(members, { userId: "tony", states: { a: "2" }, revision: 8n }, 8n);
    receive(members, [changed(5, "tony", { a: "old" }), leave(6, "tony"), join(7, "tony")]);
    assert.deepEqual(statesOf(members), { tony: { a: "2" } });
    receive(members, [leave(9, "tony")]);
    assert.equal(members.size, 0);
  });

  it("takes the empty state of a user who left and came back between two events", () => {
    const members = new Map<string, UserState>();
    const value = { changed: [user("tony")], occupancy: 1 };
    receive(members, [snapshot(5, [user("tony", { a: "1" }, 5)]), event(9, { event: { case: "interval", value } })]);
    assert.deepEqual(statesOf(members), { tony: {} });
  });

  it("takes user ids and keys that are names of Object's own properties", () => {
    const members = new Map<string, UserState>();
    const states = Object.fromEntries([
      ["__proto__", "x"],
      ["constructor", "y"],
    ]);
    receive(members, [snapshot(2, [user("__proto__", states, 1)]), join(3, "constructor"), join(4, "toString")]);
    assert.deepEqual([...members.keys()], ["__proto__", "constructor", "toString"]);
    assert.deepEqual(Object.entries(members.get("__proto__")?.states ?? {}), Object.entries(states));
  });

  it("reads a kind that it does not know as nothing but its position", () => {
    const read = new EventReader().read(create(PresenceEventSchema, event(7, {})));
    assert.deepEqual(read, { kind: "unknown", position: at(7) });
  });
});

/** The ten-line model: what a user does to a channel. */
type Action = { userId: string; states?: Record<string, string>; end?: "leave" | "timeout" };
type Member = ReturnType<typeof user>;

const action: fc.Arbitrary<Action> = fc.record(
  {
    userId: fc.constantFrom("a", "b", "c", "__proto__"),
    states: fc.dictionary(fc.constantFrom("k", "l"), fc.string({ maxLength: 2 }), { maxKeys: 2 }),
    end: fc.constantFrom("leave" as const, "timeout" as const),
  },
  { requiredKeys: ["userId"] },
);

/** Plays actions on the model and returns each change as single events, as announce mode has them. */
function play(model: Map<string, Member>, actions: Action[], revision: number): EventInit[] {
  const events: EventInit[] = [];
  let next = revision;
  for (const { userId, states, end } of actions) {
    const present = model.has(userId);
    if (end) {
      if (!present) continue;
      model.delete(userId);
      const kind = end === "leave" ? ("remoteLeave" as const) : ("remoteTimeout" as const);
      events.push(event(++next, { userId, event: { case: kind, value: { occupancy: model.size } } }));
      continue;
    }
    if (!present) {
      model.set(userId, user(userId));
      events.push(join(++next, userId));
    }
    if (states) {
      model.set(userId, user(userId, states, ++next));
      events.push(changed(next, userId, states));
    }
  }
  return events;
}

/** The same changes as one INTERVAL: the difference between two models. */
function interval(before: Map<string, Member>, after: Map<string, Member>, revision: number): EventInit {
  const joined = [...after.keys()].filter((userId) => !before.has(userId));
  const left = [...before.keys()].filter((userId) => !after.has(userId));
  const moved = [...after.values()].filter(({ userId, revision: at }) => at !== (before.get(userId)?.revision ?? 0n));
  const value = { joined, left, timedOut: [], changed: moved, occupancy: after.size };
  return event(revision, { event: { case: "interval", value } });
}

describe("applyEvent, as a property", () => {
  it("converges to the server's members, told by single events, intervals, or chunked snapshots", () => {
    const turn = fc.record({
      actions: fc.array(action, { maxLength: 8 }),
      told: fc.constantFrom("single", "interval", "snapshot", "broken snapshot, then snapshot"),
    });
    fc.assert(
      fc.property(fc.array(turn, { maxLength: 8 }), fc.integer({ min: 1, max: 3 }), (turns, chunkSize) => {
        const model = new Map<string, Member>();
        const members = new Map<string, UserState>();
        const reader = new EventReader();
        let revision = 0;
        for (const { actions, told } of turns) {
          const before = new Map(model);
          const single = play(model, actions, revision);
          revision += single.length;
          const users = [...model.values()];
          const chunks: EventInit[] = [];
          for (let from = 0; from === 0 || from < users.length; from += chunkSize) {
            const last = from + chunkSize >= users.length;
            chunks.push(snapshot(revision, users.slice(from, from + chunkSize), last));
          }
          if (told === "single") receive(members, single, reader);
          else if (told === "interval") receive(members, [interval(before, model, revision)], reader);
          else if (told === "snapshot") receive(members, chunks, reader);
          else receive(members, [snapshot(revision - 1, [user("void")], false), ...chunks], reader);

          const expected = [...model.values()].map(({ userId, states, revision: at }) => [userId, { ...states }, at]);
          const actual = [...members.values()].map(({ userId, states, revision: at }) => [userId, { ...states }, at]);
          assert.deepEqual(actual.sort(), expected.sort());
        }
      }),
      { numRuns: 200 },
    );
  });
});
