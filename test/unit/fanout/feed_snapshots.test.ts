import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { SharedCodec } from "../../../src/fanout/shared_codec.js";
import { Worklist } from "../../../src/fanout/worklist.js";
import { eventCodec } from "../../../src/wire/event_codec.js";
import type { FakeSink } from "./fake_sink.js";
import { FeedStage, room } from "./feed_stage.js";

const USERS = 5000;
const HALL = room("hall");

/** A codec that counts the users that it encodes, and how many at most in one turn. */
class CountingCodec extends SharedCodec {
  encoded = 0;
  inTurn = 0;
  mostInTurn = 0;

  override users(...[users, maxBytes]: Parameters<SharedCodec["users"]>): ReturnType<SharedCodec["users"]> {
    this.encoded += users.length;
    this.inTurn += users.length;
    this.mostInTurn = Math.max(this.mostInTurn, this.inTurn);
    return super.users(users, maxBytes);
  }
}

describe("fanout: snapshots of feeds", () => {
  let codec: CountingCodec;
  let stage: FeedStage;

  function start(distant = false): void {
    codec = new CountingCodec(eventCodec);
    stage = new FeedStage({ codec }, (engine) =>
      distant
        ? {
            watchAll: (onNews) => engine.watchAll(onNews),
            occupied: async () => engine.occupied(),
            summary: async (channel) => engine.summary(channel),
            snapshot: async (channel) => engine.snapshot(channel),
          }
        : engine,
    );
    for (let i = 0; i < USERS; i++) stage.join(HALL, `user ${i}`);
  }

  /** Each turn by itself. */
  async function settle(): Promise<void> {
    for (let quiet = 0; quiet < 3; quiet++) {
      codec.inTurn = 0;
      await turn();
      if (stage.flush()) quiet = 0;
    }
  }

  function usersTold(sink: FakeSink): number {
    return sink.take().reduce((sum, { event }) => sum + (event.case === "snapshot" ? event.value.users.length : 0), 0);
  }

  async function watched(): Promise<number> {
    const { sink, reader } = stage.watch({ withSnapshot: true });
    await settle();
    reader.detach();
    return usersTold(sink);
  }

  for (const distant of [false, true]) {
    it(`encode a channel once for all rounds at one position${distant ? ", where the source answers later" : ""}`, async () => {
      start(distant);
      const together = [1, 2, 3].map(() => stage.watch({ withSnapshot: true }));
      await settle();
      for (const { sink, reader } of together) {
        assert.equal(usersTold(sink), USERS);
        reader.detach();
      }
      for (let i = 0; i < 10; i++) {
        assert.equal(await watched(), USERS);
        stage.clock.advance(400);
      }
      assert.equal(codec.encoded, USERS);
      stage.join(HALL, "late");
      assert.equal(await watched(), USERS + 1);
      assert.equal(codec.encoded, 2 * USERS + 1);
    });
  }

  it("are forgotten when they are not asked for, and leave no timer behind", async () => {
    start();
    await watched();
    stage.clock.advance(5000);
    await watched();
    assert.equal(codec.encoded, USERS);
    stage.clock.advance(10_000);
    assert.equal(stage.clock.pending, 0);
    await watched();
    assert.equal(codec.encoded, 2 * USERS);
  });

  it("are kept up to 16 MiB, those asked for last", async () => {
    start();
    const large = { filling: "x".repeat(3000) };
    const halls = Array.from({ length: 10 }, (_, i) => room(`large ${i}`));
    for (const hall of halls) for (let i = 0; i < 700; i++) stage.join(hall, `user ${i}`, large);
    // 2 MB each: 7 or 8 of 10 fit.
    const watch = async (channel: ReturnType<typeof room>): Promise<number> => {
      const before = codec.encoded;
      const { reader } = stage.watch({ withSnapshot: true, channels: [channel] });
      await settle();
      reader.detach();
      return codec.encoded - before;
    };
    for (const hall of halls) assert.equal(await watch(hall), 700);
    const again: number[] = [];
    for (const hall of [...halls].reverse()) again.push(await watch(hall));
    const kept = again.filter((encoded) => encoded === 0).length;
    assert.ok(kept >= 6 && kept <= 8, `${kept} were kept: ${again}`);
  });

  it("are encoded a part a turn, for all rounds together", async () => {
    start();
    const halls = Array.from({ length: 4 }, (_, i) => room(`hall ${i}`));
    for (const hall of halls) for (let i = 0; i < 2000; i++) stage.join(hall, `user ${i}`);
    const readers = halls.map((hall) => stage.watch({ withSnapshot: true, channels: [hall] }));
    // Each of them begins in the turn in which it comes.
    codec.mostInTurn = 0;
    await settle();
    for (const { sink } of readers) assert.equal(usersTold(sink), 2000);
    assert.ok(codec.mostInTurn <= 512, `${codec.mostInTurn} users in one turn`);
  });

  it("a list of work does one piece a turn, in the order in which it came", () => {
    const turns: (() => void)[] = [];
    const list = new Worklist((work) => turns.push(work));
    const done: string[] = [];
    list.add(() => {
      done.push("first");
      list.add(() => done.push("third"));
    });
    list.add(() => done.push("second"));
    const counts: number[] = [];
    for (let turn = turns.shift(); turn; turn = turns.shift()) {
      turn();
      counts.push(done.length);
    }
    assert.deepEqual(done, ["first", "second", "third"]);
    assert.deepEqual(counts, [1, 2, 3]);
  });
});
