import { type DescMessage, type DescService, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { type ServerInterceptingCall, type ServerInterceptor, type ServiceError, status } from "@grpc/grpc-js";
import { serviceError, tooLarge } from "./status.js";
import { limitRequests } from "./transport_internals.js";

/** Maximum size of a request of a service that needs no token, in bytes, compressed and decompressed. */
const MAX_BYTES = 1024;

/** Bounds the requests of these services before grpc-js buffers or decompresses them; its own limit is for all services. */
export function smallRequests(services: readonly DescService[]): ServerInterceptor {
  const paths = new Set(services.flatMap(({ typeName, methods }) => methods.map(({ name }) => `/${typeName}/${name}`)));
  return ({ path }, call) => {
    if (paths.has(path)) limitRequests(call, MAX_BYTES);
    return call as ServerInterceptingCall;
  };
}

/** A request that was decoded, or why it was refused. */
export type Decoded<Message> =
  | { readonly message: Message; readonly error?: undefined }
  | { readonly message?: undefined; readonly error: ServiceError };

/** Decodes a request of a service that needs no token; refuses one of more than 1024 bytes. */
export function decodeSmall<Desc extends DescMessage>(schema: Desc, bytes: Buffer): Decoded<MessageShape<Desc>> {
  if (bytes.length > MAX_BYTES) return { error: tooLarge(bytes.length, MAX_BYTES) };
  try {
    return { message: fromBinary(schema, bytes) };
  } catch {
    return { error: serviceError(status.INVALID_ARGUMENT, `the request is not a ${schema.typeName}`) };
  }
}
