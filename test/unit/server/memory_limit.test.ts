import assert from "node:assert/strict";
import { MemoryLimit, oldSpaceLimit, processMemory, shareOfHeap } from "../../../src/server/memory_limit.js";
import { ManualClock } from "../../support/manual_clock.js";

/** A heap of which the test says how much of it is garbage. */
class Heap {
  readonly clock = new ManualClock();
  live = 0;
  garbage = 0;
  kept = 0;
  collections = 0;
  collectMs = 0;
  watchers = new Set<() => void>();
  readonly limit: MemoryLimit;

  constructor(limitBytes = 100) {
    this.limit = new MemoryLimit({
      clock: this.clock,
      limitBytes,
      kept: () => this.kept,
      source: {
        used: () => this.live + this.garbage,
        collect: () => this.collect(true),
        watch: (onCollected) => {
          this.watchers.add(onCollected);
          return () => this.watchers.delete(onCollected);
        },
      },
    });
  }

  collect(onPurpose = false): void {
    this.garbage = 0;
    this.collections += 1;
    this.clock.advance(this.collectMs);
    if (!onPurpose) for (const onCollected of this.watchers) onCollected();
  }

  /** Keeps so much more for clients, or less. */
  keep(bytes: number): void {
    this.live += bytes;
    this.kept += bytes;
  }
}

describe("server: the memory limit", () => {
  it("is reached by what is in use after a collection, and not by garbage", () => {
    const heap = new Heap();
    heap.garbage = 1000;
    assert.equal(heap.limit.isShort, false);
    heap.live = 90;
    heap.collect();
    assert.deepEqual([heap.limit.isShort, heap.limit.usedBytes], [false, 90]);
    heap.live = 101;
    heap.garbage = 50;
    heap.collect();
    assert.deepEqual([heap.limit.isShort, heap.limit.usedBytes], [true, 101]);
  });

  it("is reached, and left, by what is kept and let go of between collections", () => {
    const heap = new Heap();
    heap.keep(100);
    assert.equal(heap.limit.isShort, false);
    heap.keep(1);
    assert.equal(heap.limit.isShort, true);
    heap.keep(-5);
    assert.equal(heap.limit.isShort, true, "until there is some room");
    heap.keep(-1);
    assert.equal(heap.limit.isShort, false);
    heap.keep(4);
    assert.equal(heap.limit.isShort, false);
    assert.equal(heap.collections, 0);
  });

  it("collects to see whether memory is still short, when it was not measured for a while", () => {
    const heap = new Heap();
    heap.live = 200;
    heap.collect();
    assert.equal(heap.limit.isShort, true);
    heap.live = 10;
    heap.clock.advance(9_999);
    assert.equal(heap.limit.isShort, true);
    assert.equal(heap.collections, 1);
    heap.clock.advance(1);
    assert.equal(heap.limit.isShort, false);
    assert.equal(heap.collections, 2);
  });

  it("collects before it says so, when the last measurement is old", () => {
    const heap = new Heap();
    heap.clock.advance(60_000);
    heap.kept = 1000;
    heap.live = 50;
    assert.equal(heap.limit.isShort, false, "what is kept was estimated too high");
    assert.equal(heap.collections, 1);
  });

  it("spends a fiftieth of the time on collections at most", () => {
    const heap = new Heap();
    heap.live = 200;
    heap.collect();
    heap.collectMs = 1000;
    heap.clock.advance(10_000);
    assert.equal(heap.limit.isShort, true);
    assert.equal(heap.collections, 2);
    heap.clock.advance(49_999);
    assert.equal(heap.limit.isShort, true);
    assert.equal(heap.collections, 2);
    heap.clock.advance(1);
    assert.equal(heap.limit.isShort, true);
    assert.equal(heap.collections, 3);
  });

  it("0 turns it off", () => {
    const heap = new Heap(0);
    heap.live = 1e9;
    heap.kept = 1e9;
    heap.collect();
    assert.equal(heap.limit.isShort, false);
  });

  it("watches no more once it is closed", () => {
    const heap = new Heap();
    heap.limit.close();
    assert.equal(heap.watchers.size, 0);
  });

  it("is told of this process's own collections", async () => {
    let stop = (): void => {};
    const told = new Promise<void>((resolve) => {
      stop = processMemory.watch(resolve);
    });
    const before = processMemory.used();
    assert.ok(before > 1024 * 1024);
    processMemory.collect();
    await told;
    stop();
  });

  it("is a share of what the options of Node allow, or of V8's own limit", () => {
    const mib = 1024 * 1024;
    assert.equal(oldSpaceLimit(["--max-old-space-size=512"]), 512 * mib);
    assert.equal(oldSpaceLimit(["--a --max_old_space_size 256 --b", "--max-old-space-size=300"]), 300 * mib);
    assert.equal(oldSpaceLimit(["--max-old-space-size=x"], 4288 * mib), 4096 * mib);
    assert.equal(oldSpaceLimit([""], 256 * mib), 128 * mib);
    assert.ok(shareOfHeap(60) > 32 * mib);
  });
});
