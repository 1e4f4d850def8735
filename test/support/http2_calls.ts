import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { gzipSync } from "node:zlib";
import { deferred, nextEvent } from "./deferred.js";
import { Inbox } from "./inbox.js";

/** What a call's messages look like on the wire; with `gzip` as a compressed one. */
export function framed(message: Uint8Array, { gzip = false } = {}): Buffer {
  const body = gzip ? gzipSync(message) : message;
  const prefix = Buffer.alloc(5);
  prefix.writeUInt8(gzip ? 1 : 0, 0);
  prefix.writeUInt32BE(body.length, 1);
  return Buffer.concat([prefix, body]);
}

/** One gRPC call over a bare HTTP/2 stream. */
export class Http2Call {
  /** The messages of the response. */
  readonly messages = new Inbox<Buffer>();
  readonly #status = deferred<{ readonly code: number; readonly message: string }>();
  #rest: Buffer = Buffer.alloc(0);

  constructor(readonly stream: ClientHttp2Stream) {
    const heard = (headers: Record<string, unknown>): void => {
      const { "grpc-status": code, "grpc-message": text } = headers;
      if (code !== undefined) this.#status.resolve({ code: Number(code), message: decodeURI(String(text ?? "")) });
    };
    stream
      .on("response", heard)
      .on("trailers", heard)
      .on("error", () => {});
    stream.on("data", (chunk: Buffer) => this.#read(chunk));
    stream.once("close", () => {
      this.messages.end(new Error("the stream is closed"));
      this.#status.reject(new Error(`the stream was closed without a status, with code ${stream.rstCode}`));
    });
  }

  /** How the call ended; rejects when the stream is closed without a status. */
  get status(): Promise<{ readonly code: number; readonly message: string }> {
    return this.#status.promise;
  }

  /** Cancels the call; resolves when its stream is closed. */
  async cancel(): Promise<void> {
    if (this.stream.closed) return;
    const closed = nextEvent(this.stream, "close");
    this.stream.close(constants.NGHTTP2_CANCEL);
    await closed;
  }

  #read(chunk: Buffer): void {
    this.#rest = Buffer.concat([this.#rest, chunk]);
    while (this.#rest.length >= 5 && this.#rest.length >= 5 + this.#rest.readUInt32BE(1)) {
      const end = 5 + this.#rest.readUInt32BE(1);
      this.messages.push(this.#rest.subarray(5, end));
      this.#rest = this.#rest.subarray(end);
    }
  }
}

/** A bare HTTP/2 connection over which gRPC calls are made. */
export class Http2Calls {
  readonly session: ClientHttp2Session;

  /** `initialWindowSize`: how many bytes of a response the server may send unasked, for each call. */
  constructor(address: string, settings: { readonly initialWindowSize?: number } = {}) {
    this.session = connect(`http://${address}`, { settings });
    this.session.on("error", () => {});
  }

  /** Begins a call, of `/package.Service/Method`; its request is to be written to `stream`. */
  begin(path: string, headers: Readonly<Record<string, string>> = {}): Http2Call {
    return new Http2Call(
      this.session.request({
        [constants.HTTP2_HEADER_METHOD]: "POST",
        [constants.HTTP2_HEADER_PATH]: path,
        [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
        te: "trailers",
        ...headers,
      }),
    );
  }

  /** Makes a call with one request. */
  call(path: string, request: Uint8Array, { gzip = false } = {}): Http2Call {
    const call = this.begin(path, gzip ? { "grpc-encoding": "gzip" } : {});
    call.stream.end(framed(request, { gzip }));
    return call;
  }

  /** Cuts the connection. */
  close(): void {
    this.session.destroy();
  }
}
