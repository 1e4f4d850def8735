import { create, type DescMessage, type MessageInitShape, type MessageShape, toBinary } from "@bufbuild/protobuf";
import { PresenceError } from "../../../src/model/errors.js";
import { decodeRequest } from "../../../src/wire/decode.js";

/** A channel that nobody objects to. */
export const CHANNEL = { type: 1, name: "chat" };

/** A request as a client sends it, even one that breaks the rules. */
export function encoded<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): Uint8Array {
  return toBinary(schema, create(schema, init));
}

/** What the server makes of a request. */
export function decoded<Desc extends DescMessage>(schema: Desc, init: MessageInitShape<Desc>): MessageShape<Desc> {
  return decodeRequest(schema, encoded(schema, init));
}

/** The refusal of these bytes; throws if they are taken, or fail in any other way. */
export function refusalOf(schema: DescMessage, bytes: Uint8Array): PresenceError {
  try {
    decodeRequest(schema, bytes);
  } catch (error) {
    if (error instanceof PresenceError) return error;
    throw error;
  }
  throw new Error(`the ${schema.name} was taken`);
}

/** One field as it stands on the wire: tag, length, content. */
export function field(number: number, content: Uint8Array | string | number[]): Buffer {
  const bytes = typeof content === "string" ? Buffer.from(content) : Buffer.from(content);
  if (number > 15 || bytes.length > 127) throw new RangeError("one byte each is all that a test needs");
  return Buffer.concat([Buffer.from([(number << 3) | 2, bytes.length]), bytes]);
}

/** The channel `a` of type MESSAGE, as the first field of a request. */
export const CHANNEL_BYTES = field(1, [...[8, 1], ...field(2, "a")]);
