import assert from "node:assert/strict";
import { FakeSink } from "./fake_sink.js";
import { FeedStage, room } from "./feed_stage.js";
import { Stage } from "./stage.js";

const MAX_MESSAGE_BYTES = 256 * 1024;
const LARGE = "x".repeat(15_000);

/** More than two messages. */
const USERS = [...Array(50).keys()].map((i) => `user ${i}`);

function bytesOf({ sizes }: FakeSink): number {
  return sizes.reduce((bytes, size) => bytes + size, 0);
}

describe("fanout: what is written to a stream that has no room", () => {
  describe("of a channel", () => {
    let stage: Stage;
    beforeEach(() => {
      stage = new Stage({}, { maxEvents: 1000, maxBytes: 64 * 1024 * 1024 });
      stage.join("ann");
    });

    function setAll(value: string): void {
      for (const user of USERS) stage.set(user, { big: value });
    }

    /** One message fits; the next is written when the stream has room again. */
    function assertBounded(sink: FakeSink): void {
      assert.ok(bytesOf(sink) <= MAX_MESSAGE_BYTES, `${bytesOf(sink)} bytes`);
      assert.equal(sink.sizes.length, 1);
    }

    for (const includeSelf of [true, false]) {
      it(`is one message of a flush, and the rest is kept as the latest states (include_self ${includeSelf})`, () => {
        for (const user of USERS) stage.join(user);
        const { sink, reader } = stage.subscribe("ann", { includeSelf });
        stage.settle();
        sink.sizes.length = 0;
        sink.take();
        sink.stall();
        stage.set("ann", { own: "1" });
        setAll(LARGE);
        stage.flush();
        assertBounded(sink);
        assert.equal(reader.state, "resyncing", "more is left than may wait");
        sink.drain();
        stage.settle();
        assert.equal(sink.overruns, 0);
        const users = sink.take().flatMap(({ event }) => (event.case === "snapshot" ? event.value.users : []));
        assert.equal(users.filter(({ states }) => states.big === LARGE).length, USERS.length);
      });
    }

    it("is told without a snapshot where what is left may wait", () => {
      for (const user of USERS.slice(0, 20)) stage.join(user);
      const { sink, reader } = stage.subscribe("ann");
      stage.settle();
      sink.take();
      sink.stall();
      for (const user of USERS.slice(0, 20)) stage.set(user, { big: LARGE });
      stage.flush();
      assert.equal(reader.state, "lagging");
      sink.drain();
      assert.equal(reader.state, "live");
      const told = sink.take().map(({ event, userId }) => `${event.case} ${userId}`);
      assert.deepEqual(
        told,
        USERS.slice(0, 20).map((user) => `remoteStateChanged ${user}`),
      );
    });

    it("is one message of what a reader missed; none of the rest is encoded", () => {
      for (const user of USERS) stage.join(user);
      const resumeFrom = stage.join("rosa").position;
      setAll(LARGE);
      const sink = new FakeSink();
      sink.stall();
      const { reader } = stage.subscribe("ann", { resumeFrom, sink });
      stage.settle();
      assertBounded(sink);
      assert.equal(reader.state, "resyncing");
      sink.drain();
      stage.settle();
      assert.equal(reader.state, "live");
      assert.equal(sink.overruns, 0);
    });

    it("is one message of a batch that a reader knows in part", () => {
      for (const user of USERS) stage.join(user);
      const resumeFrom = stage.join("rosa").position;
      const sink = new FakeSink();
      // The first reader opens the channel, so that the second is given what it missed before the batch is flushed.
      stage.subscribe("rosa");
      stage.flush();
      stage.set(USERS[0]!, { big: "1" });
      stage.subscribe("ann", { resumeFrom, sink });
      stage.flush();
      sink.sizes.length = 0;
      sink.stall();
      setAll(LARGE);
      stage.flush();
      assertBounded(sink);
    });
  });

  describe("of a feed", () => {
    let stage: FeedStage;
    beforeEach(() => {
      stage = new FeedStage();
      for (const user of USERS) stage.join(room("a"), user);
    });

    for (const prefix of ["", "a"]) {
      it(`is one message of a flush, and one when it reads again (prefix "${prefix}")`, () => {
        const { sink, reader } = stage.watch({ prefix });
        stage.flush();
        sink.sizes.length = 0;
        sink.take();
        sink.stall();
        for (const user of USERS.slice(0, 30)) stage.set(room("a"), user, { big: LARGE });
        stage.flush();
        assert.equal(sink.sizes.length, 1);
        assert.equal(reader.state, "lagging");
        sink.drain(1);
        assert.equal(sink.sizes.length, 2);
        for (const size of sink.sizes) assert.ok(size <= MAX_MESSAGE_BYTES);
        sink.drain();
        assert.equal(reader.state, "live");
        assert.equal(sink.overruns, 0);
        assert.equal(sink.take().length, 30);
      });

      it(`drops what is more than may wait, and says so (prefix "${prefix}")`, () => {
        const { sink, reader } = stage.watch({ prefix });
        stage.flush();
        sink.stall();
        for (const user of USERS) stage.set(room("a"), user, { big: LARGE });
        stage.flush();
        assert.equal(reader.state, "resyncing");
        sink.drain();
        assert.equal(sink.take().at(-1)!.event.case, "outOfService");
        assert.equal(reader.state, "live");
      });
    }
  });
});
