import assert from "node:assert/strict";
import { type Deferred, deferred } from "../../../src/client/deferred.js";
import { PresenceError, type PresenceErrorDetails, type StateResult } from "../../../src/client/index.js";
import { MOST_WAITING, type Write, WriteQueue } from "../../../src/client/write_queue.js";

const POLICY = { minDelayMs: 1, maxDelayMs: 1, connectTimeoutMs: 0 };

const fromServer = (details: PresenceErrorDetails) => new PresenceError("no", details, { cause: new Error("status") });
const lost = () => fromServer({ code: "UNAVAILABLE" });
const set = (states: Record<string, string>): Write => ({ kind: "set", states });

function answer(n: number): StateResult {
  const state = { userId: "tony", states: {}, revision: BigInt(n) };
  return { state, pending: false, position: { epoch: "e", revision: BigInt(n) } };
}

/** Calls that a queue makes, each answered by the test. */
class Calls {
  readonly made: { readonly write: Write; readonly result: Deferred<StateResult> }[] = [];
  #taken = 0;
  #arrived: Deferred<void> = deferred();

  readonly send = (write: Write): Promise<StateResult> => {
    const result = deferred<StateResult>();
    this.made.push({ write, result });
    this.#arrived.resolve();
    this.#arrived = deferred();
    return result.promise;
  };

  async next() {
    while (this.made.length === this.#taken) await this.#arrived.promise;
    return this.made[this.#taken++]!;
  }
}

describe("WriteQueue", () => {
  let calls: Calls;
  let queue: WriteQueue;

  beforeEach(() => {
    calls = new Calls();
    queue = new WriteQueue(calls.send, POLICY);
  });

  afterEach(() => queue.close(new Error("the test is over")));

  it("sends at once, several at a time, while the stream is live", async () => {
    const both = [queue.push(set({ a: "1" })), queue.push(set({ a: "2" }))];
    assert.equal(calls.made.length, 2);
    for (const [n, { result }] of calls.made.entries()) result.resolve(answer(n));
    assert.deepEqual(await Promise.all(both), [answer(0), answer(1)]);
  });

  it("keeps what is set while the stream is away, and sends it as one", async () => {
    queue.hold();
    const waiting = [queue.push(set({ a: "1", b: "1" })), queue.push(set({ a: "2" })), queue.push(set({ c: "3" }))];
    assert.deepEqual([calls.made.length, queue.size], [0, 3]);
    queue.release();
    const { write, result } = await calls.next();
    assert.deepEqual(write, set({ a: "2", b: "1", c: "3" }));
    result.resolve(answer(1));
    assert.deepEqual(await Promise.all(waiting), [answer(1), answer(1), answer(1)]);
    assert.equal(calls.made.length, 1);
  });

  it("keeps a key named __proto__ among what it sends as one", async () => {
    queue.hold();
    const waiting = [queue.push(set(JSON.parse('{"__proto__":"1","a":"1"}'))), queue.push(set({ a: "2" }))];
    queue.release();
    const { write, result } = await calls.next();
    assert.deepEqual(Object.entries((write as { states: object }).states), [
      ["__proto__", "1"],
      ["a", "2"],
    ]);
    result.resolve(answer(1));
    await Promise.all(waiting);
  });

  it("keeps the order of what cannot be joined", async () => {
    queue.hold();
    const writes: Write[] = [
      set({ a: "1" }),
      { kind: "remove", keys: ["a"] },
      set({ b: "1" }),
      set({ b: "2" }),
      { kind: "set", states: { c: "1" }, replace: true },
      { kind: "set", states: { d: "1" }, expectedRevision: 4n },
      set({ e: "1" }),
    ];
    const all = Promise.all(writes.map((write) => queue.push(write)));
    queue.release();
    const sent: Write[] = [];
    for (let n = 0; n < 6; n++) {
      const { write, result } = await calls.next();
      sent.push(write);
      result.resolve(answer(n));
    }
    await all;
    assert.deepEqual(sent, [writes[0], writes[1], set({ b: "2" }), writes[4], writes[5], writes[6]]);
  });

  it("sends again what a lost connection left in doubt, in its old place", async () => {
    const first = queue.push(set({ a: "1" }));
    const { result } = await calls.next();
    queue.hold();
    const second = queue.push(set({ a: "2" }));
    result.reject(lost());
    await new Promise((resolve) => setImmediate(resolve));
    assert.equal(queue.size, 2);
    queue.release();
    const again = await calls.next();
    assert.deepEqual(again.write, set({ a: "2" }));
    again.result.resolve(answer(7));
    assert.deepEqual(await Promise.all([first, second]), [answer(7), answer(7)]);
  });

  it("does not send again what a later write has overtaken", async () => {
    const older = queue.push(set({ a: "old" }));
    const newer = queue.push(set({ a: "new" }));
    const [one, two] = [await calls.next(), await calls.next()];
    two.result.resolve(answer(2));
    await newer;
    one.result.reject(lost());
    await assert.rejects(older, { code: "UNAVAILABLE" });
    assert.equal(queue.size, 0);
  });

  it("tells the caller of a compare-and-set that it is in doubt, and keeps one that was not sent", async () => {
    const guarded: Write = { kind: "set", states: { a: "1" }, expectedRevision: 3n };
    const sent = queue.push(guarded);
    (await calls.next()).result.reject(lost());
    await assert.rejects(sent, { code: "UNAVAILABLE" });
    queue.hold();
    const kept = queue.push(guarded);
    queue.release();
    (await calls.next()).result.resolve(answer(4));
    assert.deepEqual(await kept, answer(4));
  });

  it("tells a refusal to the one that it is for, when several went together", async () => {
    queue.hold();
    const good = queue.push(set({ a: "1" }));
    const bad = queue.push(set({ "": "1" }));
    queue.release();
    const refusal = fromServer({ code: "INVALID_ARGUMENT", reason: "INVALID_STATE_KEY" });
    (await calls.next()).result.reject(refusal);
    const alone = await calls.next();
    assert.deepEqual(alone.write, set({ a: "1" }));
    alone.result.resolve(answer(1));
    assert.deepEqual(await good, answer(1));
    (await calls.next()).result.reject(refusal);
    await assert.rejects(bad, { reason: "INVALID_STATE_KEY" });
  });

  it("gives up after five tries while the stream is live", async () => {
    const given = queue.push(set({ a: "1" }));
    (await calls.next()).result.reject(lost());
    for (let tries = 0; tries < 5; tries++) (await calls.next()).result.reject(lost());
    await assert.rejects(given, { code: "UNAVAILABLE" });
    assert.equal(calls.made.length, 6);
  });

  it("forgets a write whose signal is aborted while it waits", async () => {
    queue.hold();
    const controller = new AbortController();
    const aborted = queue.push(set({ a: "1" }), controller.signal);
    const kept = queue.push(set({ b: "1" }));
    const why = new Error("enough");
    controller.abort(why);
    await assert.rejects(aborted, (error) => error === why);
    queue.release();
    const { write, result } = await calls.next();
    assert.deepEqual(write, set({ b: "1" }));
    result.resolve(answer(1));
    await kept;
  });

  it("restores before all that waits, once", async () => {
    queue.hold();
    const later = queue.push(set({ a: "2" }));
    queue.restore({ userId: "tony", states: { a: "1" }, revision: 0n });
    queue.restore({ userId: "tony", states: { a: "0" }, revision: 0n });
    queue.release();
    const first = await calls.next();
    assert.deepEqual(first.write, { kind: "restore", lost: { userId: "tony", states: { a: "1" }, revision: 0n } });
    first.result.resolve(answer(1));
    const second = await calls.next();
    assert.deepEqual(second.write, set({ a: "2" }));
    second.result.resolve(answer(2));
    assert.deepEqual(await later, answer(2));
  });

  it("restores after the next return, when the stream is lost again meanwhile", async () => {
    queue.restore({ userId: "tony", states: { a: "1" }, revision: 0n });
    const first = await calls.next();
    queue.hold();
    first.result.reject(lost());
    await new Promise((resolve) => setImmediate(resolve));
    queue.release();
    assert.deepEqual((await calls.next()).write, {
      kind: "restore",
      lost: { userId: "tony", states: { a: "1" }, revision: 0n },
    });
  });

  it("keeps no more than a thousand", async () => {
    queue.hold();
    const waiting = Array.from({ length: MOST_WAITING }, (_, n) => queue.push(set({ n: `${n}` })));
    await assert.rejects(queue.push(set({ n: "one more" })), { code: "RESOURCE_EXHAUSTED" });
    queue.release();
    (await calls.next()).result.resolve(answer(1));
    await Promise.all(waiting);
  });

  it("fails what waits when it is closed, and what comes after", async () => {
    queue.hold();
    const waiting = queue.push(set({ a: "1" }));
    const why = new Error("closed");
    queue.close(why);
    await assert.rejects(waiting, (error) => error === why);
    await assert.rejects(queue.push(set({ a: "1" })), (error) => error === why);
  });
});
