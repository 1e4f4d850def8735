import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import * as pb from "../../../gen/presence/v1/presence_service_pb.js";
import type { Engine } from "../../../src/engine/engine.js";
import { PresenceError } from "../../../src/model/errors.js";
import type { EntryResult } from "../../../src/service/batch.js";
import type { Written } from "../../../src/wire/write_response.js";
import { property } from "../../support/property.js";
import { largeRevisions } from "../../support/revisions.js";
import type { FakeSink } from "../fanout/fake_sink.js";
import { DistantEngine } from "./distant_engine.js";
import { room, World } from "./world.js";

const CHANNELS = ["one", "two"];
/** Who joins both channels; the others set states that wait. */
const PRESENT = ["ann", "bob"];
const LIMITS = { maxStatePairs: 3, maxPendingPairs: 1000 };

interface Entry {
  readonly channel: string;
  readonly userId: string;
  readonly states: Record<string, string>;
  readonly replace: boolean;
  readonly expected: "any" | "current" | "wrong";
}

const entry: fc.Arbitrary<Entry> = fc.record({
  channel: fc.constantFrom(...CHANNELS),
  userId: fc.constantFrom(...PRESENT, "cid"),
  // The last one breaks a constraint.
  states: fc.dictionary(
    fc.constantFrom("a", "b", "c", "d", "__proto__"),
    fc.constantFrom("", "1", "2", "x".repeat(4097)),
    {
      maxKeys: 2,
      noNullPrototype: true,
    },
  ),
  replace: fc.boolean(),
  expected: fc.constantFrom("any", "any", "any", "current", "wrong"),
});

const batches = fc.array(fc.array(entry, { minLength: 1, maxLength: 12 }), { maxLength: 6 });

/** One user in one channel, as the rules' text speaks of it. */
interface Kept {
  states: Record<string, string>;
  /** Of the state's last write; 0: none, or nothing is pending. */
  revision: number;
}

/** What is expected of a batch: why each entry is refused, and what changes, in order. */
interface Expected {
  readonly refusals: (string | undefined)[];
  readonly changes: { readonly key: string; readonly channel: string; readonly before: Kept; readonly after: Kept }[];
}

/** Which states there are, told in the simplest way. */
class Model {
  readonly kept = new Map<string, Kept>();

  expect(entries: readonly Entry[]): Expected {
    const refusals: (string | undefined)[] = [];
    const changes = new Map<string, Expected["changes"][number]>();
    const done = new Set<string>();
    for (const { channel, userId, states, replace, expected } of entries) {
      const key = `${channel} ${userId}`;
      if (Object.values(states).some((value) => value.length > 4096)) {
        refusals.push("STATE_VALUE_SIZE_OVERFLOW");
        continue;
      }
      const before = this.kept.get(key) ?? { states: {}, revision: 0 };
      const change = changes.get(key) ?? { key, channel, before, after: before };
      changes.set(key, change);
      const next = { ...(replace ? {} : change.after.states), ...states };
      if (expected === "wrong" || (expected === "current" && done.has(key))) refusals.push("STATE_REVISION_MISMATCH");
      else if (Object.keys(next).length > LIMITS.maxStatePairs) refusals.push("STATE_COUNT_OVERFLOW");
      else {
        refusals.push(undefined);
        done.add(key);
        changes.set(key, { ...change, after: { states: next, revision: before.revision } });
      }
    }
    return { refusals, changes: [...changes.values()].filter(({ key }) => done.has(key)) };
  }
}

async function play(world: World, all: readonly (readonly Entry[])[], inOrder: boolean): Promise<void> {
  const model = new Model();
  const listeners = new Map<string, FakeSink>();
  for (const channel of CHANNELS) {
    listeners.set(channel, (await world.listen("listener", { channel: room(channel) })).sink);
    for (const userId of PRESENT) {
      await world.joinLease(userId, { channel: room(channel) });
      model.kept.set(`${channel} ${userId}`, { states: {}, revision: 0 });
    }
  }
  for (const sink of listeners.values()) sink.take();
  for (const entries of all) {
    const revisionOf = ({ channel, userId, expected }: Entry) => {
      const current = model.kept.get(`${channel} ${userId}`)?.revision ?? 0;
      return { any: undefined, current: BigInt(current), wrong: BigInt(current + 1) }[expected];
    };
    const requests = entries.map((entry) => {
      const { userId, states, replace } = entry;
      return { channel: room(entry.channel), userId, states, replace, expectedRevision: revisionOf(entry) };
    });
    const request = create(pb.BatchSetStateRequestSchema, { requests });
    const results = await world.service.batchSetState({ userId: undefined }, request);
    await world.settle();
    check(model, entries, results, listeners, inOrder);
  }
}

function check(
  model: Model,
  entries: readonly Entry[],
  results: readonly EntryResult<Written>[],
  listeners: ReadonlyMap<string, FakeSink>,
  inOrder: boolean,
): void {
  const { refusals, changes } = model.expect(entries);
  assert.deepEqual(results.map(refusalOf), refusals);
  for (const { key, before, after } of changes) {
    const answers = results.filter((_, i) => `${entries[i]!.channel} ${entries[i]!.userId}` === key);
    const [first, ...others] = answers.flatMap((result) => ("done" in result ? [result.done] : []));
    for (const other of others) assert.deepEqual(other, first);
    assert.deepEqual(first!.state.states, after.states);
    assert.equal(first!.pending, !PRESENT.includes(first!.state.userId));
    const { revision } = first!.state;
    if (!first!.pending) assert.equal(revision, first!.position.revision);
    else if (Object.keys(after.states).length === 0) assert.equal(revision, 0);
    else assert.ok(revision >= 2 ** 52 && revision !== before.revision, "one new number of a pending state");
    after.revision = first!.state.revision;
    const mismatches = answers.flatMap((result) => ("failed" in result ? [result.failed as PresenceError] : []));
    const overtaken = mismatches.filter(({ message }) => message.startsWith("an earlier entry"));
    for (const { currentState } of overtaken) assert.deepEqual(currentState, first!.state);
    model.kept.set(key, after);
  }
  for (const [channel, sink] of listeners) {
    const told = sink.take().map(({ event, userId, position }) => {
      assert.equal(event.case, "remoteStateChanged");
      const { changedKeys, removedKeys, state } = event.value as {
        changedKeys: string[];
        removedKeys: string[];
        state?: { states: object };
      };
      return { userId, revision: Number(position!.revision), states: { ...state!.states }, changedKeys, removedKeys };
    });
    const expected = changes
      .filter((change) => change.channel === channel && PRESENT.includes(change.key.split(" ")[1]!))
      .map(({ key, before, after }) => ({
        userId: key.split(" ")[1]!,
        revision: after.revision,
        states: { ...after.states },
        changedKeys: Object.keys(after.states)
          .filter((name) => !Object.hasOwn(before.states, name) || before.states[name] !== after.states[name])
          .sort(),
        removedKeys: Object.keys(before.states)
          .filter((name) => !Object.hasOwn(after.states, name))
          .sort(),
      }));
    if (!inOrder) expected.sort((a, b) => a.revision - b.revision);
    assert.deepEqual(told, expected);
  }
}

function refusalOf(result: EntryResult<unknown>): string | undefined {
  if ("done" in result) return undefined;
  assert.ok(result.failed instanceof PresenceError);
  return result.failed.reason;
}

describe("service: batches, as a property", () => {
  property(
    "the entries of a user are one change, and a refused one does not touch the others",
    [batches],
    (all) => play(new World({ limits: LIMITS, revisionsOf: largeRevisions }), all, true),
    { runs: 200 },
  );

  property(
    "the same with an engine that is far away",
    [batches, fc.array(fc.nat(3), { minLength: 1 })],
    (all, delays) => {
      let call = 0;
      const wrap = (engine: Engine): Engine => new DistantEngine(engine, () => delays[call++ % delays.length]!);
      return play(new World({ limits: LIMITS, wrap, patience: 30, revisionsOf: largeRevisions }), all, false);
    },
    { runs: 50 },
  );
});
