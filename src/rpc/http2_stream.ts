import type { ServerHttp2Stream } from "node:http2";
import type { ServerUnaryCall, ServerWritableStream } from "@grpc/grpc-js";

/** A call as handlers get it. */
export type AnyCall = ServerUnaryCall<Buffer, Buffer> | ServerWritableStream<Buffer, Buffer>;

/**
 * The HTTP/2 stream below a call. It has no public name in grpc-js: undefined where it is not found, and then what needs
 * it has to do without.
 */
export function http2StreamOf(call: AnyCall): ServerHttp2Stream | undefined {
  return http2StreamBelow((call as unknown as { call?: object }).call);
}

/** The same of what grpc-js shows an interceptor of a call. */
export function http2StreamBelow(intercepted: object | undefined): ServerHttp2Stream | undefined {
  const { stream, nextCall } = (intercepted ?? {}) as { stream?: ServerHttp2Stream; nextCall?: object };
  if (nextCall) return http2StreamBelow(nextCall);
  return typeof stream?.write === "function" && typeof stream.close === "function" ? stream : undefined;
}
