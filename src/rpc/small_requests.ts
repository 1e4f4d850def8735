import { unzipSync } from "node:zlib";
import { type DescMessage, fromBinary, type MessageShape } from "@bufbuild/protobuf";
import { type ServerInterceptingCall, type ServerInterceptor, type ServiceError, status } from "@grpc/grpc-js";
import { serviceError, tooLarge } from "./status.js";
import { keepCompressed, limitRequests } from "./transport_internals.js";

/** Maximum size of a request of a service that needs no token, in bytes, compressed and decompressed. */
const MAX_BYTES = 1024;

/** The first bytes of gzip and of zlib ("deflate"). A request of health or reflection begins with neither of them. */
const COMPRESSED = [0x1f, 0x78];

/**
 * Bounds the requests of these services before they are buffered. grpc-js has one limit for the whole server, and
 * decompresses all messages of a DATA frame at once; these are decompressed one by one, by `decodeSmall`.
 */
export function smallRequests(services: readonly string[]): ServerInterceptor {
  const prefixes = services.map((name) => `/${name}/`);
  return ({ path }, call) => {
    if (prefixes.some((prefix) => path.startsWith(prefix))) {
      limitRequests(call, MAX_BYTES);
      keepCompressed(call);
    }
    return call as ServerInterceptingCall;
  };
}

/** A request that was decoded, or why it was refused. */
export type Decoded<Message> =
  | { readonly message: Message; readonly error?: undefined }
  | { readonly message?: undefined; readonly error: ServiceError };

/** Decodes a request of a service that needs no token, compressed or not; refuses one of more than 1024 bytes. */
export function decodeSmall<Desc extends DescMessage>(schema: Desc, bytes: Buffer): Decoded<MessageShape<Desc>> {
  if (bytes.length > MAX_BYTES) return { error: tooLarge(bytes.length, MAX_BYTES) };
  try {
    return { message: fromBinary(schema, decompressed(bytes)) };
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ERR_BUFFER_TOO_LARGE") {
      const details = `Received message that decompresses to a size larger than ${MAX_BYTES}`;
      return { error: serviceError(status.RESOURCE_EXHAUSTED, details) };
    }
    return { error: serviceError(status.INVALID_ARGUMENT, `the request is not a ${schema.typeName}`) };
  }
}

function decompressed(bytes: Buffer): Buffer {
  if (!COMPRESSED.includes(bytes[0]!)) return bytes;
  return unzipSync(bytes, { maxOutputLength: MAX_BYTES, chunkSize: MAX_BYTES });
}
