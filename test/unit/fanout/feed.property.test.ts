import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import fc from "fast-check";
import type { ChannelId } from "../../../src/model/channel_id.js";
import { property } from "../../support/property.js";
import { largeRevisions } from "../../support/revisions.js";
import { DistantEngine } from "../service/distant_engine.js";
import { FeedStage, room } from "./feed_stage.js";

const CHANNELS: readonly ChannelId[] = [room("a1"), room("a2"), room("b1"), { type: 2, name: "a1" }];

/** How large values are, so that some fill a backlog and some a message. */
const SIZES: Readonly<Record<string, number>> = { x: 150, y: 40_000 };

const channel = fc.constantFrom(...CHANNELS);
const user = fc.constantFrom("ann", "bob", "cid");
const watcher = fc.nat(2);

/** One thing that happens. Numbers choose among the watchers that there are. */
const actions = fc.array(
  fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        do: fc.constantFrom("come" as const, "go" as const, "vanish" as const, "change" as const),
        channel,
        user,
        value: fc.constantFrom("1", "1", "2", "x", "y"),
      }),
    },
    { weight: 6, arbitrary: fc.record({ do: fc.constant("flush" as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("pass" as const) }) },
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constantFrom("stall" as const, "drain" as const),
        watcher,
        writes: fc.constantFrom(1, 1, 2, 3, 1000),
      }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constantFrom("spurious" as const, "cancel" as const), watcher }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant("watch" as const),
        channels: fc.subarray([...CHANNELS]),
        prefix: fc.constantFrom("", "", "a", "b1"),
        withSnapshot: fc.constantFrom(true, true, false),
      }),
    },
  ),
  { maxLength: 80, size: "max" },
);

type Action = typeof actions extends fc.Arbitrary<(infer One)[]> ? One : never;

class Course {
  readonly watchers: ReturnType<FeedStage["view"]>[] = [];

  constructor(readonly stage: FeedStage) {}

  act(action: Action): void {
    const { stage } = this;
    switch (action.do) {
      case "come":
        if (!stage.has(action.channel, action.user)) {
          stage.join(action.channel, action.user, action.value === "1" ? {} : { come: action.value });
        }
        break;
      case "go":
        if (stage.has(action.channel, action.user)) stage.leave(action.channel, action.user);
        break;
      case "vanish":
        if (stage.has(action.channel, action.user)) stage.vanish(action.channel, action.user);
        break;
      case "change":
        if (stage.has(action.channel, action.user)) {
          stage.set(action.channel, action.user, { [action.value]: action.value.repeat(SIZES[action.value] ?? 1) });
        }
        break;
      case "flush":
        stage.flush();
        break;
      case "pass":
        stage.clock.advance(61_000);
        break;
      case "watch":
        if (this.watchers.length < 3) this.watchers.push(stage.view(action));
        break;
      case "stall":
        this.watchers[action.watcher]?.sink.stall(action.writes);
        break;
      case "drain":
        this.watchers[action.watcher]?.sink.drain(action.writes === 1000 ? undefined : action.writes);
        break;
      case "spurious":
        this.watchers[action.watcher]?.sink.drainForNothing();
        break;
      case "cancel":
        this.watchers[action.watcher]?.reader.detach();
    }
    this.checkGauges();
  }

  checkGauges(): void {
    const counts = { live: 0, lagging: 0, resyncing: 0 };
    for (const { reader } of this.watchers) if (reader.state !== "closed") counts[reader.state] += 1;
    assert.deepEqual(this.stage.feed.stats().watchers, counts);
  }

  /** Everything has come to rest: what watchers know is what is. */
  check(): void {
    if (this.stage.broken) throw this.stage.broken.error;
    this.checkGauges();
    for (const { reader, sink, view, filter } of this.watchers) {
      assert.equal(sink.ended, undefined);
      if (reader.state === "closed") continue;
      assert.equal(reader.state, "live");
      if (!view.complete) continue;
      assert.deepEqual(view.users, this.stage.truth(filter));
    }
    const snapshots = this.watchers.filter(({ reader, withSnapshot }) => withSnapshot && reader.state !== "closed");
    for (const { view } of snapshots) assert.ok(view.complete, "a round comes to its end");
  }
}

const backlogs = fc.constantFrom(300, 1500, 100_000);
/** For messages of one event, of a few, and of all. */
const messages = fc.constantFrom(1, 500, 262_144);

describe("fanout: what watchers are told, as a property", () => {
  property(
    "S16 S16a a watcher's view is the truth in the end, however it reads; occupied and vacated enclose the rest",
    [backlogs, messages, actions],
    (maxBacklogBytes, maxMessageBytes, things) => {
      const course = new Course(
        new FeedStage({ maxBacklogBytes, maxMessageBytes, laggingTimeoutMs: 1e9 }, undefined, largeRevisions),
      );
      for (const action of things) course.act(action);
      for (let round = 0; round < 30; round++) {
        for (const { sink } of course.watchers) sink.drain();
        while (course.stage.flush());
      }
      course.check();
    },
    { runs: 1500 },
  );

  property(
    "S16 S16a the same with an engine that is far away",
    [backlogs, messages, actions, fc.array(fc.nat(3), { minLength: 1, maxLength: 20 })],
    async (maxBacklogBytes, maxMessageBytes, things, delays) => {
      let next = 0;
      const distant = (engine: ConstructorParameters<typeof DistantEngine>[0]) =>
        new DistantEngine(engine, () => delays[next++ % delays.length]!);
      const stage = new FeedStage({ maxBacklogBytes, maxMessageBytes, laggingTimeoutMs: 1e9 }, distant, largeRevisions);
      const course = new Course(stage);
      for (const action of things) {
        course.act(action);
        await turn();
      }
      for (let round = 0; round < 30; round++) {
        for (const { sink } of course.watchers) sink.drain();
        await stage.settle();
      }
      course.check();
    },
    { runs: 150 },
  );
});
