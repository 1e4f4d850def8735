import type { DescMessage, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import type { GenService } from "@bufbuild/protobuf/codegenv2";
import { MethodOptions_IdempotencyLevel } from "@bufbuild/protobuf/wkt";
import type { MethodDefinition } from "nice-grpc";

/** The kinds of call that protobuf knows, as the generated service names them. */
type Method = {
  methodKind: "unary" | "server_streaming" | "client_streaming" | "bidi_streaming";
  input: DescMessage;
  output: DescMessage;
};

/** The nice-grpc definition of one generated method: plain objects go in, messages come out. */
type DefinitionOfMethod<M extends Method> = MethodDefinition<
  MessageInitShape<M["input"]>,
  MessageShape<M["input"]>,
  MessageInitShape<M["output"]>,
  MessageShape<M["output"]>,
  M["methodKind"] extends "client_streaming" | "bidi_streaming" ? true : false,
  M["methodKind"] extends "server_streaming" | "bidi_streaming" ? true : false
>;

/** The nice-grpc definition of a generated service, under the methods' local names (`setState`). */
export type ServiceDefinitionOf<Methods extends Record<string, Method>> = {
  [Name in keyof Methods]: DefinitionOfMethod<Methods[Name]>;
};

/**
 * Derives what nice-grpc wants to know of a service from what protobuf-es
 * generated for it, so that no second code generator is needed.
 */
export function serviceDefinitionOf<Methods extends Record<string, Method>>(
  service: GenService<Methods>,
): ServiceDefinitionOf<Methods> {
  const definitions = service.methods.map((method) => [
    method.localName,
    {
      path: `/${service.typeName}/${method.name}`,
      requestStream: method.methodKind === "client_streaming" || method.methodKind === "bidi_streaming",
      responseStream: method.methodKind === "server_streaming" || method.methodKind === "bidi_streaming",
      requestSerialize: (request: MessageInitShape<DescMessage>) =>
        toBinary(method.input, create(method.input, request)),
      requestDeserialize: (bytes: Uint8Array) => fromBinary(method.input, bytes),
      responseSerialize: (response: MessageInitShape<DescMessage>) =>
        toBinary(method.output, create(method.output, response)),
      responseDeserialize: (bytes: Uint8Array) => fromBinary(method.output, bytes),
      options:
        method.idempotency === MethodOptions_IdempotencyLevel.NO_SIDE_EFFECTS
          ? { idempotencyLevel: "NO_SIDE_EFFECTS" }
          : {},
    },
  ]);
  return Object.fromEntries(definitions) as ServiceDefinitionOf<Methods>;
}
