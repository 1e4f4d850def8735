import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import type { DescEnum, DescField, DescMessage, DescMethod } from "@bufbuild/protobuf";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import { file_presence_v1_error_reason } from "../../gen/presence/v1/error_reason_pb.js";
import { file_presence_v1_presence } from "../../gen/presence/v1/presence_pb.js";
import { file_presence_v1_presence_service } from "../../gen/presence/v1/presence_service_pb.js";
import { buf, checkGenerated } from "../../scripts/check_generated.js";
import { ENUMS, MESSAGES, METHODS, ONEOFS } from "./fixed_names.js";

const FILES = [file_presence_v1_presence, file_presence_v1_presence_service, file_presence_v1_error_reason];
const SCALARS: Record<number, string> = { 4: "uint64", 5: "int32", 8: "bool", 9: "string", 13: "uint32" };

/** A descriptor of the generated code by its name without the package. */
function find<T extends DescMessage | DescEnum>(all: T[], name: string): T {
  const found = all.find((one) => one.typeName === `presence.v1.${name}`);
  assert.ok(found, `${name} is not in the generated code`);
  return found;
}

/** A field in the words of a .proto file: `1 keys: repeated string`. */
function inWords(field: DescField): string {
  const type = () => {
    const one = field.message ?? field.enum;
    return one ? one.typeName.replace(/^presence\.v1\./, "") : SCALARS[field.scalar ?? 0];
  };
  switch (field.fieldKind) {
    case "map":
      assert.equal(field.mapKind, "scalar");
      return `${field.number} ${field.name}: map<${SCALARS[field.mapKey]}, ${SCALARS[field.scalar ?? 0]}>`;
    case "list":
      return `${field.number} ${field.name}: repeated ${type()}`;
    default:
      return `${field.number} ${field.name}: ${field.proto.proto3Optional ? "optional " : ""}${type()}`;
  }
}

describe("contract: the fixed names", () => {
  const messages = FILES.flatMap((file) => file.messages);
  const enums = FILES.flatMap((file) => file.enums);
  const service = file_presence_v1_presence_service.services[0]!;

  for (const [name, fields] of Object.entries(MESSAGES)) {
    it(`${name} has its fields`, () => {
      const words = find(messages, name).fields.map(inWords);
      assert.deepEqual(
        fields.filter((field) => !words.includes(field)),
        [],
        `among ${words.join("; ")}`,
      );
    });
  }

  for (const [name, { message, fields }] of Object.entries(ONEOFS)) {
    it(`${message}.${name} is a choice of its fields`, () => {
      const choice = find(messages, message).oneofs.find((oneof) => oneof.name === name);
      const numbers = choice?.fields.map((field) => field.number) ?? [];
      assert.deepEqual(
        fields.filter((field) => !numbers.includes(field)),
        [],
      );
    });
  }

  for (const [name, values] of Object.entries(ENUMS)) {
    it(`${name} has its values`, () => {
      const named = new Map(find(enums, name).values.map((value) => [value.name, value.number]));
      for (const [value, number] of Object.entries(values)) {
        assert.equal(named.has(value), true, value);
        if (number !== undefined) assert.equal(named.get(value), number, value);
      }
    });
  }

  it("PresenceService has its calls", () => {
    const shapes = service.methods.map(({ name, methodKind, input, output }: DescMethod) =>
      [name, methodKind, input.name, output.name].join(" "),
    );
    assert.equal(service.typeName, "presence.v1.PresenceService");
    assert.deepEqual(
      METHODS.map(({ name, kind }) => `${name} ${kind} ${name}Request ${name}Response`).filter(
        (shape) => !shapes.includes(shape),
      ),
      [],
    );
  });

  it("only the reading calls are marked as free of side effects", () => {
    const free = service.methods.filter((one) => one.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS);
    assert.deepEqual(
      free.map((method) => method.name).sort(),
      METHODS.filter((method) => method.reads)
        .map((method) => method.name)
        .sort(),
    );
  });
});

describe("contract: the schema", () => {
  // buf starts some times, and generates once or twice.
  it("is built by buf, without a warning", async () => {
    assert.equal(await buf(["build"]), "");
  });

  it("passes buf lint", async () => {
    assert.equal(await buf(["lint"]), "");
  });

  it("is formatted as buf format would", async () => {
    assert.equal(await buf(["format", "--diff", "--exit-code", "proto"]), "");
  });

  it("is what the generated code was made from", async () => {
    assert.deepEqual(await checkGenerated(), []);
  });

  it("would be seen to differ from generated code that was edited", async () => {
    const edited = mkdtempSync(path.join(tmpdir(), "rollcall-test-"));
    try {
      cpSync(new URL("../../gen", import.meta.url), edited, { recursive: true });
      rmSync(path.join(edited, "presence/v1/error_reason_pb.ts"));
      writeFileSync(path.join(edited, "presence/v1/presence_pb.ts"), "export {};\n");
      assert.deepEqual(await checkGenerated(edited), [
        { file: "presence/v1/error_reason_pb.ts", kind: "missing" },
        { file: "presence/v1/presence_pb.ts", kind: "differs" },
      ]);
    } finally {
      rmSync(edited, { recursive: true });
    }
  });
});
