import assert from "node:assert/strict";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import fc from "fast-check";
import { putVarint, varintSize } from "../../../src/wire/varint.js";
import { property } from "../../support/property.js";

const number = fc.oneof(fc.constantFrom(0, 127, 128, 16_383, 16_384, 2 ** 31 - 1), fc.nat());

describe("wire: numbers written by hand", () => {
  property("a varint is what protobuf's own reader reads, and as long as foretold", [number], (value) => {
    const bytes = new Uint8Array(8);
    const end = putVarint(bytes, 1, value);
    assert.equal(end - 1, varintSize(value));
    assert.equal(new BinaryReader(bytes.subarray(1, end)).uint32(), value);
  });
});
