import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, joinPieces, layOut } from "../../../src/fanout/messages.js";
import { MAX_CHUNK_BYTES } from "../../../src/fanout/snapshot.js";
import { property } from "../../support/property.js";

const sizes = fc.array(fc.constantFrom(1, 100, 100_000, MAX_CHUNK_BYTES - 100, MAX_CHUNK_BYTES, MAX_CHUNK_BYTES + 1), {
  maxLength: 8,
});

describe("fanout: messages", () => {
  property("lay all pieces side by side, in order, in few messages that are not too large", [sizes], (sizes) => {
    const pieces = sizes.map((size, i) => new Uint8Array(size).fill(i + 1));
    const messages = joinPieces(pieces);
    assert.ok(Buffer.concat(messages.map(({ bytes }) => bytes)).equals(Buffer.concat(pieces)));
    let next = 0;
    for (const { bytes: message, end } of messages) {
      let bytes = 0;
      const first = next;
      while (bytes < message.length) bytes += sizes[next++]!;
      assert.equal(bytes, message.length, "a piece was cut");
      assert.equal(next, end);
      assert.ok(message.length <= MAX_CHUNK_BYTES || next === first + 1, "too large, and more than one piece");
      if (next < sizes.length) assert.ok(bytes + sizes[next]! > MAX_CHUNK_BYTES, "one more would have fitted");
    }
  });

  it("does not copy a piece that is alone", () => {
    const piece = Uint8Array.of(1, 2, 3);
    const [message] = joinPieces([piece]);
    assert.equal(message!.bytes.buffer, piece.buffer);
    assert.ok(Buffer.isBuffer(message!.bytes));
  });

  it("takes no piece beyond the first that does not fit, until the next message is wanted", () => {
    let taken = 0;
    const pieces = function* () {
      for (; taken < 100; ) {
        taken += 1;
        yield new Uint8Array(100_000);
      }
    };
    const messages = layOut(pieces());
    assert.equal(messages.next().value!.end, 2);
    assert.equal(taken, 3);
  });

  it("lays all in one message, whatever its size, where that is asked for", () => {
    const pieces = [new Uint8Array(MAX_CHUNK_BYTES).fill(1), new Uint8Array(MAX_CHUNK_BYTES).fill(2)];
    assert.ok(Buffer.from(concat(pieces)).equals(Buffer.concat(pieces)));
  });

  it("makes no message of nothing", () => {
    assert.deepEqual(joinPieces([]), []);
  });
});
