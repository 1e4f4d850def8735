import assert from "node:assert/strict";
import { BinaryReader, BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { putRepeated, putVarint, repeatedSize, varintSize } from "../../../src/wire/repeated_bytes.js";
import { property } from "../../support/property.js";

const number = fc.oneof(fc.constantFrom(0, 127, 128, 16_383, 16_384, 2 ** 31 - 1), fc.nat());

describe("wire: fields written by hand", () => {
  property("a varint is what protobuf's own reader reads, and as long as foretold", [number], (value) => {
    const bytes = new Uint8Array(8);
    const end = putVarint(bytes, 1, value);
    assert.equal(end - 1, varintSize(value));
    assert.equal(new BinaryReader(bytes.subarray(1, end)).uint32(), value);
  });

  const elements = fc.array(
    fc.oneof(
      fc.uint8Array({ maxLength: 5 }),
      fc.constantFrom(127, 128, 20_000).map((size) => new Uint8Array(size)),
    ),
    { maxLength: 5 },
  );

  property(
    "a repeated field is what protobuf's own writer writes",
    [elements, fc.integer({ min: 1, max: 15 })],
    (all, field) => {
      const writer = new BinaryWriter();
      for (const element of all) writer.tag(field, WireType.LengthDelimited).bytes(element);
      const expected = writer.finish();
      const bytes = new Uint8Array(repeatedSize(all));
      assert.equal(putRepeated(bytes, 0, field, all), bytes.length);
      assert.deepEqual(bytes, new Uint8Array(expected));
    },
  );
});
