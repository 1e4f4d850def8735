import { once } from "node:events";
import { connect } from "node:http2";
import { type AddressInfo, createServer, type Socket } from "node:net";
import { Server, ServerCredentials, ServerInterceptingCall, type ServerInterceptor } from "@grpc/grpc-js";
import {
  type AnyCall,
  http2ServerOf,
  http2StreamBelow,
  http2StreamOf,
  type Internal,
  limitRequests,
  scheduleDecompression,
} from "./transport_internals.js";

const PATH = "/probe/Probe";
const same = (bytes: Buffer): Buffer => bytes;

/** What the server does not do while a part of the transport is missing, for a log. */
export const DISABLED_WITHOUT: Readonly<Record<Internal, readonly string[]>> = {
  "call stream": [
    "--max-unread-bytes",
    "resetting the stream of a slow reader without its connection",
    "recognizing calls that follow a cancel, and GOAWAY",
  ],
  "intercepted stream": ["--request-timeout", "--max-unfinished-bytes", "the bound on compressed requests"],
  decompression: ["the bound on compressed requests"],
  "request limit": ["refusing large requests to health and reflection before they are buffered"],
  "HTTP/2 server": [
    "the lower limit of streams before a call was authenticated",
    "delaying calls of connections without an authenticated call",
    "HTTP status 405 and 415 for requests that are not gRPC",
    "closing the socket of a client that reads nothing when its keepalive fails",
  ],
};

/**
 * Makes one call over a loopback connection inside this process, to a grpc-js server of its own, and returns the parts
 * of the transport that were not found: in another release of grpc-js or Node a private field may have another name.
 */
export async function probeTransport(): Promise<ReadonlySet<Internal>> {
  const missing = new Set<Internal>();
  const expect = (internal: Internal, isFound: boolean): void => {
    if (!isFound) missing.add(internal);
  };
  const interceptor: ServerInterceptor = (_, call) => {
    expect("intercepted stream", http2StreamBelow(call) !== undefined);
    expect(
      "decompression",
      scheduleDecompression(call, (decompress) => decompress()),
    );
    expect("request limit", limitRequests(call, 1024));
    // As interceptors do that wrap a call: the stream of such a call is further down.
    return new ServerInterceptingCall(call);
  };
  const server = new Server({ interceptors: [interceptor], "grpc.enable_channelz": 0 });
  const method = { path: PATH, requestStream: false, responseStream: false } as const;
  const codec = {
    requestSerialize: same,
    requestDeserialize: same,
    responseSerialize: same,
    responseDeserialize: same,
  };
  server.addService(
    { probe: { ...method, ...codec } },
    {
      probe: (call: AnyCall, answer: (error: null, response: Buffer) => void) => {
        expect("call stream", http2StreamOf(call) !== undefined);
        answer(null, Buffer.alloc(0));
      },
    },
  );
  const injector = server.createConnectionInjector(ServerCredentials.createInsecure());
  expect("HTTP/2 server", http2ServerOf(server) !== undefined);
  const listener = createServer((socket: Socket) => {
    injector.injectConnection(socket);
  });
  listener.listen(0, "127.0.0.1");
  await once(listener, "listening");
  const session = connect(`http://127.0.0.1:${(listener.address() as AddressInfo).port}`);
  try {
    const headers = { ":method": "POST", ":path": PATH, "content-type": "application/grpc", te: "trailers" };
    const stream = session.request(headers);
    stream.resume().end(Buffer.alloc(5));
    await once(stream, "close");
  } finally {
    session.destroy();
    listener.close();
    server.forceShutdown();
  }
  return missing;
}
