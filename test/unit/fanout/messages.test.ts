import assert from "node:assert/strict";
import fc from "fast-check";
import { concat, joinPieces } from "../../../src/fanout/messages.js";
import { MAX_CHUNK_BYTES } from "../../../src/fanout/snapshot.js";
import { property } from "../../support/property.js";

const sizes = fc.array(fc.constantFrom(1, 100, 100_000, MAX_CHUNK_BYTES - 100, MAX_CHUNK_BYTES, MAX_CHUNK_BYTES + 1), {
  maxLength: 8,
});

describe("fanout: messages", () => {
  property("lay all pieces side by side, in order, in few messages that are not too large", [sizes], (sizes) => {
    const pieces = sizes.map((size, i) => new Uint8Array(size).fill(i + 1));
    const messages = joinPieces(pieces);
    assert.ok(Buffer.concat(messages).equals(Buffer.concat(pieces)));
    let next = 0;
    for (const message of messages) {
      let bytes = 0;
      const first = next;
      while (bytes < message.length) bytes += sizes[next++]!;
      assert.equal(bytes, message.length, "a piece was cut");
      assert.ok(message.length <= MAX_CHUNK_BYTES || next === first + 1, "too large, and more than one piece");
      if (next < sizes.length) assert.ok(bytes + sizes[next]! > MAX_CHUNK_BYTES, "one more would have fitted");
    }
  });

  it("does not copy a piece that is alone", () => {
    const piece = Uint8Array.of(1, 2, 3);
    const [message] = joinPieces([piece]);
    assert.equal(message!.buffer, piece.buffer);
    assert.ok(Buffer.isBuffer(message));
  });

  it("lays all in one message, whatever its size, where that is asked for", () => {
    const pieces = [new Uint8Array(MAX_CHUNK_BYTES).fill(1), new Uint8Array(MAX_CHUNK_BYTES).fill(2)];
    assert.ok(Buffer.from(concat(pieces)).equals(Buffer.concat(pieces)));
  });

  it("makes no message of nothing", () => {
    assert.deepEqual(joinPieces([]), []);
  });
});
