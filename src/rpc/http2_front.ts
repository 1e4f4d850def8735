import type { IncomingHttpHeaders } from "node:http2";
import { constants, createServer, type Http2Server, type ServerHttp2Session, type ServerHttp2Stream } from "node:http2";
import type { Duplex } from "node:stream";
import type { Server } from "@grpc/grpc-js";
import { http2ServerOf } from "./transport_internals.js";

/** How the HTTP/2 server in front of grpc-js is set up. */
export interface Http2FrontOptions {
  /** Streams that a client may have open at once on a new connection. */
  readonly initialStreams: number;
  /** Streams that a client may have open at once on any connection. */
  readonly maxStreams: number;
  /** Runs `begin` for each new call, now or later. */
  readonly onCall: (stream: ServerHttp2Stream, path: string | undefined, begin: () => void) => void;
}

/** Largest header list of a request, in bytes, with 32 for each field (RFC 9113, 6.5.2); a larger one fails its call. */
const MAX_HEADER_LIST_BYTES = 64 * 1024;

/** Defaults of Node: streams that a client may reset at once before its connection is ended, and a second after that. */
const RESET_BURST = 1000;
const RESETS_PER_SECOND = 33;

/**
 * An HTTP/2 server of our own that hands its sessions and calls to grpc-js. grpc-js neither shows the sessions of its own
 * server nor passes all options on. What is not gRPC is answered here.
 */
export class Http2Front {
  readonly #http2: Http2Server;
  #accepted: ServerHttp2Session | undefined;

  private constructor(target: Http2Server, { initialStreams, maxStreams, onCall }: Http2FrontOptions) {
    // Node 20 knows no streamResetBurst and ignores it; its types are those of Node 20.
    const options: Parameters<typeof createServer>[0] & { streamResetBurst: number; streamResetRate: number } = {
      settings: { maxConcurrentStreams: initialStreams, maxHeaderListSize: MAX_HEADER_LIST_BYTES },
      // As grpc-js has it: the limit would refuse streams on a connection with many slow readers, which are bounded elsewhere.
      maxSessionMemory: Number.MAX_SAFE_INTEGER,
      maxSendHeaderBlockLength: Number.MAX_SAFE_INTEGER,
      // A client may cancel all of its streams at once.
      streamResetBurst: Math.max(RESET_BURST, maxStreams),
      streamResetRate: RESETS_PER_SECOND,
    };
    this.#http2 = createServer(options);
    this.#http2.setTimeout(0);
    this.#http2.on("session", (session) => {
      this.#accepted = session;
      target.emit("session", session);
    });
    this.#http2.on("stream", (stream, headers, ...more) => {
      onCall(stream, headers[":path"], () => {
        if (!refuseUnlessGrpc(stream, headers)) target.emit("stream", stream, headers, ...more);
      });
    });
  }

  /** Undefined where the HTTP/2 server of grpc-js is not found; it has to be created before (`createConnectionInjector`). */
  static of(server: Server, options: Http2FrontOptions): Http2Front | undefined {
    const target = http2ServerOf(server);
    return target && new Http2Front(target, options);
  }

  /** Serves a connection; returns its session. */
  accept(connection: Duplex): ServerHttp2Session | undefined {
    this.#accepted = undefined;
    this.#http2.emit("connection", connection);
    return this.#accepted;
  }
}

/** `application/grpc`, with or without the encoding of its messages (`+proto`) and parameters; grpc-web is another protocol. */
const GRPC = /^application\/grpc(?:\+[\w.-]+)?\s*(?:;|$)/;

/** Answers a request that is not gRPC with an HTTP status and a line of text; returns false for one that is. */
function refuseUnlessGrpc(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): boolean {
  const { ":method": method, "content-type": type } = headers;
  if (method !== "POST") {
    answer(stream, { ":status": 405, allow: "POST" }, "this port speaks gRPC: requests are POST, over HTTP/2\n");
  } else if (type === undefined || !GRPC.test(type)) {
    answer(
      stream,
      { ":status": 415 },
      `this port speaks gRPC: content-type must be application/grpc, not ${JSON.stringify(type ?? "")}\n`,
    );
  } else {
    return false;
  }
  return true;
}

function answer(stream: ServerHttp2Stream, headers: Record<string, string | number>, text: string): void {
  // No other listener handles the error of this stream.
  stream.on("error", () => {});
  stream.respond({ ...headers, "content-type": "text/plain; charset=utf-8" });
  // The rest of the request is of no use to anybody (RFC 9113, 8.1).
  stream.end(text, () => stream.close(constants.NGHTTP2_NO_ERROR));
}
