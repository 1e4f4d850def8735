import type { ServerHttp2Stream } from "node:http2";
import type { ServerWritableStream } from "@grpc/grpc-js";

/**
 * The HTTP/2 stream below a call. It has no public name in grpc-js: undefined where it is not found, and then what needs
 * it has to do without.
 */
export function http2StreamOf(call: ServerWritableStream<Buffer, Buffer>): ServerHttp2Stream | undefined {
  const { stream } = (call as unknown as { call?: { stream?: ServerHttp2Stream } }).call ?? {};
  return typeof stream?.write === "function" && typeof stream.close === "function" ? stream : undefined;
}
