import type { Http2Server, ServerHttp2Stream } from "node:http2";
import type { Server, ServerDuplexStream, ServerUnaryCall, ServerWritableStream } from "@grpc/grpc-js";

/** A call as handlers get it. */
export type AnyCall = ServerUnaryCall<Buffer, Buffer> | ServerWritableStream<Buffer, Buffer>;

/**
 * Names of the private fields of grpc-js and Node that the server reads; nothing outside this module reads one. Tests
 * rename entries to simulate a release that has other names.
 */
export const PRIVATE_FIELDS = {
  /** grpc-js, of a handler's call: the call below it. */
  call: "call",
  /** grpc-js, of an intercepted call: the call that it wraps. */
  nextCall: "nextCall",
  /** grpc-js, of the innermost call: its HTTP/2 stream. */
  stream: "stream",
  /** grpc-js, of the innermost call: the `grpc-encoding` of its request. */
  incomingEncoding: "incomingEncoding",
  /** grpc-js, of the innermost call: decompresses a message. */
  decompressMessage: "decompressMessage",
  /** grpc-js, of the innermost call: the maximum size of a decompressed message. */
  maxReceiveMessageSize: "maxReceiveMessageSize",
  /** grpc-js, of the innermost call: what splits its request into messages. */
  decoder: "decoder",
  /** grpc-js, of that decoder: the maximum size of a message. */
  maxReadMessageLength: "maxReadMessageLength",
  /** grpc-js, of a server: its HTTP/2 servers, as keys of a map. */
  http2Servers: "http2Servers",
};

/** A part of the transport that is reached through private fields. */
export type Internal = "call stream" | "intercepted stream" | "decompression" | "request limit" | "HTTP/2 server";

/** The HTTP/2 stream of a handler's call; undefined where the fields have other names. */
export function http2StreamOf(call: AnyCall | ServerDuplexStream<Buffer, Buffer>): ServerHttp2Stream | undefined {
  return http2StreamBelow(fieldOf(call, "call") as object | undefined);
}

/** The HTTP/2 stream of a call as grpc-js gives it to an interceptor; undefined where the fields have other names. */
export function http2StreamBelow(intercepted: object | undefined): ServerHttp2Stream | undefined {
  const stream = intercepted && (fieldOf(innermost(intercepted), "stream") as Partial<ServerHttp2Stream> | undefined);
  const isStream = typeof stream?.write === "function" && typeof stream.close === "function";
  return isStream ? (stream as ServerHttp2Stream) : undefined;
}

/**
 * Makes grpc-js ask `schedule` for each compressed message of an intercepted call, instead of decompressing it when it is
 * complete. False: the fields have other names.
 */
export function scheduleDecompression(
  intercepted: object,
  schedule: (decompress: () => Promise<Buffer>) => Promise<Buffer>,
): boolean {
  const call = innermost(intercepted) as Record<string, unknown>;
  const decompress = fieldOf(call, "decompressMessage");
  const requestEncoding = fieldOf(call, "incomingEncoding");
  if (typeof decompress !== "function" || typeof requestEncoding !== "string") return false;
  // Replacing the method makes a call a quarter dearer, and keeps it in memory until the next full collection.
  if (requestEncoding === "identity") return true;
  call[PRIVATE_FIELDS.decompressMessage] = (message: Buffer, encoding: string) => {
    const run = () => decompress.call(call, message, encoding);
    return encoding === "identity" ? run() : schedule(run);
  };
  return true;
}

/** Sets the maximum size of a request of an intercepted call, in bytes, also decompressed. False: the fields have other names. */
export function limitRequests(intercepted: object, maxBytes: number): boolean {
  const call = innermost(intercepted) as Record<string, unknown>;
  const decoder = fieldOf(call, "decoder") as Record<string, unknown> | undefined;
  if (typeof fieldOf(call, "maxReceiveMessageSize") !== "number" || !decoder) return false;
  if (typeof fieldOf(decoder, "maxReadMessageLength") !== "number") return false;
  call[PRIVATE_FIELDS.maxReceiveMessageSize] = maxBytes;
  decoder[PRIVATE_FIELDS.maxReadMessageLength] = maxBytes;
  return true;
}

/** The HTTP/2 server of a grpc-js server that has one; undefined where the field has another name. */
export function http2ServerOf(server: Server): Http2Server | undefined {
  const servers = fieldOf(server, "http2Servers");
  const [first] = servers instanceof Map ? servers.keys() : [];
  const isServer = typeof first?.emit === "function" && first.listenerCount("stream") > 0;
  return isServer && first.listenerCount("session") > 0 ? first : undefined;
}

function innermost(intercepted: object): object {
  const nextCall = fieldOf(intercepted, "nextCall") as object | undefined;
  return nextCall ? innermost(nextCall) : intercepted;
}

function fieldOf(object: object, field: keyof typeof PRIVATE_FIELDS): unknown {
  return (object as Record<string, unknown>)[PRIVATE_FIELDS[field]];
}
