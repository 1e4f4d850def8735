import assert from "node:assert/strict";
import { PresenceError } from "../../../src/model/errors.js";
import { Streams } from "../../../src/service/streams.js";

function stream(attachment: number) {
  const ends: (PresenceError | undefined)[] = [];
  return { attachment, ends, end: (error: PresenceError | undefined) => ends.push(error) };
}

describe("service: the open streams", () => {
  it("ends the attachment that is meant, and no other one", () => {
    const streams = new Streams();
    const second = stream(1);
    streams.add("session", second);
    streams.end("session", 0, undefined);
    streams.end("other", 1, undefined);
    assert.deepEqual(second.ends, []);
    const error = new PresenceError("SAME_USER_REPLACED", "replaced");
    streams.end("session", 1, error);
    streams.end("session", 1, undefined);
    assert.deepEqual(second.ends, [error]);
    assert.equal(streams.size, 0);
  });

  it("forgets the attachment that has ended, and no other one", () => {
    const streams = new Streams();
    streams.add("session", stream(1));
    streams.remove("session", 0);
    assert.equal(streams.size, 1);
    streams.remove("session", 1);
    assert.equal(streams.size, 0);
  });

  it("ends all, each with an error of its own", () => {
    const streams = new Streams();
    const open = [stream(0), stream(3)];
    open.forEach((stream, i) => {
      streams.add(`session ${i}`, stream);
    });
    let errors = 0;
    streams.endAll(() => new PresenceError("SERVER_DRAINING", "", { retryAfterMs: ++errors }));
    assert.deepEqual(
      open.map(({ ends }) => ends.map((error) => error?.retryAfterMs)),
      [[1], [2]],
    );
    assert.equal(streams.size, 0);
  });
});
