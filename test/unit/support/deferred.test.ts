import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { deferred, nextEvent, within } from "../../support/deferred.js";

describe("support: deferred", () => {
  it("settles when told so, once", async () => {
    const value = deferred<number>();
    assert.equal(value.settled, false);
    value.resolve(1);
    value.resolve(2);
    value.reject(new Error("too late"));
    assert.equal(value.settled, true);
    assert.equal(await value.promise, 1);
  });

  it("rejects, and nobody needs to look", async () => {
    const failure = deferred();
    failure.reject(new Error("no"));
    assert.equal(failure.settled, true);
    const unhandled: unknown[] = [];
    const note = (reason: unknown) => unhandled.push(reason);
    process.prependListener("unhandledRejection", note);
    // Node has looked for unhandled rejections by the next turn.
    await new Promise((resolve) => setImmediate(resolve));
    process.off("unhandledRejection", note);
    assert.deepEqual(unhandled, []);
    await assert.rejects(failure.promise, /no/);
  });
});

describe("support: within", () => {
  it("passes on what the promise brings", async () => {
    assert.equal(await within("a value", Promise.resolve(3)), 3);
    await assert.rejects(within("a value", Promise.reject(new Error("no"))), /no/);
  });

  it("names what did not come", async () => {
    await assert.rejects(within("the bus", deferred().promise, 1), /waited 1 ms for the bus/);
  });
});

describe("support: nextEvent", () => {
  it("brings the arguments of the next event, and leaves no listener", async () => {
    const emitter = new EventEmitter();
    const next = nextEvent<[string, number]>(emitter, "news");
    emitter.emit("other");
    emitter.emit("news", "a", 1);
    emitter.emit("news", "b", 2);
    assert.deepEqual(await next, ["a", 1]);
    assert.deepEqual(emitter.eventNames(), []);
  });

  it("rejects with the emitter's error", async () => {
    const emitter = new EventEmitter();
    const next = nextEvent(emitter, "news");
    emitter.emit("error", new Error("broken"));
    await assert.rejects(next, /broken/);
    assert.deepEqual(emitter.eventNames(), []);
  });

  it("can wait for an error", async () => {
    const emitter = new EventEmitter();
    const next = nextEvent<[Error]>(emitter, "error");
    emitter.emit("error", new Error("expected"));
    assert.equal((await next)[0].message, "expected");
  });

  it("rejects when nothing comes", async () => {
    const emitter = new EventEmitter();
    await assert.rejects(nextEvent(emitter, "news", 1), /waited 1 ms for the event news/);
    assert.deepEqual(emitter.eventNames(), []);
  });
});
