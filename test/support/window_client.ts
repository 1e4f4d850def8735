import { once } from "node:events";
import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { create, type DescMethod, type MessageInitShape, toBinary } from "@bufbuild/protobuf";

/** Room for everything that a test is sent. */
export const OPEN_WINDOW = 64 * 1024 * 1024;

/** A client that says how many bytes of each stream the server may send (HTTP/2 flow control), and counts what comes. */
export class WindowClient {
  private constructor(private readonly session: ClientHttp2Session) {}

  /** Connects; the server may send `window` bytes of each stream. */
  static async connect(address: string, window: number): Promise<WindowClient> {
    const session = connect(`http://${address}`, { settings: { initialWindowSize: window } });
    session.on("error", () => {});
    await once(session, "remoteSettings");
    session.setLocalWindowSize(OPEN_WINDOW);
    return new WindowClient(session);
  }

  /** Sets the window of each stream, open ones among them; resolves when the server has taken it in. */
  async setWindow(window: number): Promise<void> {
    this.session.settings({ initialWindowSize: window });
    await once(this.session, "localSettings");
  }

  /** Begins a call; `timeout`: its deadline, as `grpc-timeout` has it. */
  call<M extends DescMethod>(
    method: M,
    userId: string,
    init: MessageInitShape<M["input"]>,
    timeout?: string,
  ): WindowCall {
    const request = toBinary(method.input, create(method.input, init));
    const framed = Buffer.alloc(5 + request.length);
    framed.writeUInt32BE(request.length, 1);
    framed.set(request, 5);
    const stream = this.session.request({
      ":method": "POST",
      ":path": `/${method.parent.typeName}/${method.name}`,
      "content-type": "application/grpc",
      te: "trailers",
      "x-user-id": userId,
      ...(timeout && { "grpc-timeout": timeout }),
    });
    stream.end(framed);
    return new WindowCall(stream);
  }

  close(): void {
    this.session.destroy();
  }
}

/** One call of such a client. */
export class WindowCall {
  /** Bytes that came. */
  bytes = 0;
  readonly #headers: Promise<unknown>;
  readonly #closed: Promise<unknown>;
  #status: number | undefined;

  constructor(private readonly stream: ClientHttp2Stream) {
    stream.on("error", () => {});
    stream.on("data", ({ length }: Buffer) => {
      this.bytes += length;
    });
    this.#headers = once(stream, "response").then(([headers]) => this.#trailers(headers));
    stream.on("trailers", (trailers) => this.#trailers(trailers));
    this.#closed = new Promise((resolve) => stream.once("close", resolve));
  }

  cancel(): void {
    this.stream.close(constants.NGHTTP2_CANCEL);
  }

  /** Resolves when the server has begun to answer. */
  async answered(): Promise<void> {
    await this.#headers;
  }

  /** Resolves when so many bytes have come. */
  async read(bytes: number): Promise<void> {
    while (this.bytes < bytes) await once(this.stream, "data");
  }

  /** Resolves when the stream is closed: with the status, or `reset`. */
  async ended(): Promise<string> {
    await this.#closed;
    return this.stream.rstCode === constants.NGHTTP2_NO_ERROR ? `status ${this.#status}` : "reset";
  }

  #trailers(fields: Record<string, unknown>): void {
    if (fields["grpc-status"] !== undefined) this.#status = Number(fields["grpc-status"]);
  }
}
