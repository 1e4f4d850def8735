import { type DescField, type DescMessage, fromBinary, type Message, type MessageShape } from "@bufbuild/protobuf";
import { pathToString } from "@bufbuild/protobuf/reflect";
import { BinaryReader, WireType } from "@bufbuild/protobuf/wire";
import { type Duration, DurationSchema } from "@bufbuild/protobuf/wkt";
import { createValidator, type Violation } from "@bufbuild/protovalidate";
import { type FieldViolation, invalidField, PresenceError, type Reason } from "../model/errors.js";
import { compileQuickCheck } from "./quick_check.js";

const validator = createValidator();

const quickChecks = new Map<DescMessage, ReturnType<typeof compileQuickCheck>>();

/**
 * Decodes a request and checks it against the constraints of its proto, at this one place (S21, S22).
 *
 * Throws a PresenceError of the INVALID_ARGUMENT family that names every field that is wrong, and what is allowed.
 */
export function decodeRequest<Desc extends DescMessage>(schema: Desc, bytes: Uint8Array): MessageShape<Desc> {
  let message: MessageShape<Desc>;
  try {
    message = fromBinary(schema, bytes);
  } catch (error) {
    throw explain(schema, bytes, error);
  }
  checkRequest(schema, message);
  return message;
}

/** Checks a message against the constraints of its proto; throws as `decodeRequest` does. For the entries of a batch. */
export function checkRequest<Desc extends DescMessage>(schema: Desc, message: MessageShape<Desc>): void {
  let certainlyValid = quickChecks.get(schema);
  if (!certainlyValid) {
    certainlyValid = compileQuickCheck(schema);
    quickChecks.set(schema, certainlyValid);
  }
  if (certainlyValid(message)) return;
  const result = validator.validate(schema, message);
  if (result.kind === "valid") {
    refuseMalformedDurations(schema, message);
    return;
  }
  if (result.kind === "error") throw result.error;
  throw fromViolations(result.violations);
}

function fromViolations(violations: readonly Violation[]): PresenceError {
  const found = violations.map((violation): FieldViolation & { limit: string | undefined } => ({
    field: fieldPath(violation),
    description: describe(violation),
    reason: reasonOf(violation),
    limit: limitOf(violation),
  }));
  const first = found[0]!;
  const metadata: Record<string, string> = { field: first.field };
  if (first.limit !== undefined) metadata.limit = first.limit;
  return new PresenceError(first.reason, found.map(({ field, description }) => `${field}: ${description}`).join("; "), {
    metadata,
    violations: found.map(({ field, description, reason }) => ({ field, description, reason })),
  });
}

/** The path of the field; a key is left out where it is the key that is wrong, and may be of any size. */
function fieldPath(violation: Violation): string {
  return pathToString(violation.forKey ? violation.field.slice(0, -1) : violation.field);
}

function describe({ message, ruleId, forKey }: Violation): string {
  const what = forKey ? "a key " : "";
  if (ruleId === "string.pattern") return `${what}must not hold control characters`;
  if (ruleId === "required") return "is required";
  return `${what}${message.replace(/^value /, "")}`;
}

function limitOf({ ruleId, message }: Violation): string | undefined {
  return ruleId === "string.max_bytes" || ruleId === "repeated.max_items" ? message.match(/\d+/)?.[0] : undefined;
}

function reasonOf(violation: Violation): Reason {
  const field = fieldPath(violation);
  const tooLong = violation.ruleId === "string.max_bytes";
  const channel = /^(?:channel|channels\[\d+\])(?:$|\.(.*))/.exec(field);
  if (channel) return channel[1] === "type" ? "INVALID_CHANNEL_TYPE" : "INVALID_CHANNEL_NAME";
  if (field === "user_id" || field.startsWith("user_ids[")) return "INVALID_USER_ID";
  if (field === "page_token") return "INVALID_PAGE_TOKEN";
  const isKey = violation.forKey || /^keys\[/.test(field);
  if (isKey) return tooLong ? "STATE_KEY_SIZE_OVERFLOW" : "INVALID_STATE_KEY";
  if (/^(initial_)?states\[/.test(field) && tooLong) return "STATE_VALUE_SIZE_OVERFLOW";
  return "INVALID_ARGUMENT";
}

/**
 * The validator compares durations by their seconds first, so nanoseconds beyond a second, or below none, would carry
 * one past its bounds. Protobuf allows neither.
 */
function refuseMalformedDurations(schema: DescMessage, message: Message): void {
  const { typeName } = DurationSchema;
  for (const field of schema.fields) {
    if (field.message?.typeName !== typeName) continue;
    const duration = (message as unknown as Record<string, Duration | undefined>)[field.localName];
    if (!duration || (duration.nanos >= 0 && duration.nanos < 1e9)) continue;
    throw invalidField("INVALID_ARGUMENT", field.name, "must have nanos from 0 to 999999999");
  }
}

/** Finds out why bytes could not be decoded: text that is not UTF-8, or no protobuf at all. */
function explain(schema: DescMessage, bytes: Uint8Array, error: unknown): PresenceError {
  try {
    for (const [field, value] of stringsOf(schema, bytes)) {
      if (!isUtf8(value)) return invalidField(reasonOfText(field), field.replace(/ key$/, ""), "must be valid UTF-8");
    }
  } catch {
    // The walk stumbled as the decoder did: the bytes as a whole are at fault.
  }
  const cause = error instanceof Error ? error.message : String(error);
  return new PresenceError("INVALID_ARGUMENT", `the request is not a ${schema.typeName}: ${cause}`, {
    metadata: { type: schema.typeName },
  });
}

function reasonOfText(field: string): Reason {
  if (field.startsWith("channel")) return "INVALID_CHANNEL_NAME";
  if (field === "user_id" || field === "user_ids") return "INVALID_USER_ID";
  if (field.endsWith(" key") || field === "keys") return "INVALID_STATE_KEY";
  return "INVALID_ARGUMENT";
}

function isUtf8(bytes: Uint8Array): boolean {
  try {
    new TextDecoder("utf-8", { fatal: true }).decode(bytes);
    return true;
  } catch {
    return false;
  }
}

/** Every string in a message, undecoded, with its field's path; a map's keys have ` key` behind it. */
function* stringsOf(
  schema: DescMessage,
  bytes: Uint8Array,
  prefix = "",
): Generator<[field: string, value: Uint8Array]> {
  const reader = new BinaryReader(bytes);
  const items = new Map<number, number>();
  while (reader.pos < reader.len) {
    const [number, wireType] = reader.tag();
    const field = schema.fields.find((candidate) => candidate.number === number);
    if (!field || wireType !== WireType.LengthDelimited) {
      reader.skip(wireType, number);
      continue;
    }
    const path = prefix + field.name;
    if (field.fieldKind === "list" && field.listKind === "message") {
      const index = items.get(number) ?? 0;
      items.set(number, index + 1);
      yield* stringsOf(field.message, reader.bytes(), `${path}[${index}].`);
    } else {
      yield* stringsOfField(field, reader.bytes(), path);
    }
  }
}

function* stringsOfField(field: DescField, value: Uint8Array, path: string): Generator<[string, Uint8Array]> {
  if (field.fieldKind === "message") {
    yield* stringsOf(field.message, value, `${path}.`);
  } else if (field.fieldKind === "map") {
    const entry = new BinaryReader(value);
    while (entry.pos < entry.len) {
      const [number, wireType] = entry.tag();
      if (wireType === WireType.LengthDelimited) yield [number === 1 ? `${path} key` : path, entry.bytes()];
      else entry.skip(wireType, number);
    }
  } else if (field.fieldKind === "scalar" || field.fieldKind === "list") {
    yield [path, value];
  }
}
