import { once } from "node:events";
import { connect, type Socket } from "node:net";

/** The frames of HTTP/2 that attacks are made of (RFC 9113, 6). */
export const FRAME = {
  DATA: 0,
  HEADERS: 1,
  RST_STREAM: 3,
  SETTINGS: 4,
  PING: 6,
  GOAWAY: 7,
  WINDOW_UPDATE: 8,
  CONTINUATION: 9,
} as const;

/** Their flags. */
export const FLAG = { ACK: 1, END_STREAM: 1, END_HEADERS: 4 } as const;

/** What a client says first (RFC 9113, 3.4). */
export const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");

/** One frame. */
export function frame(type: number, flags: number, stream: number, payload: Uint8Array = Buffer.alloc(0)): Buffer {
  const head = Buffer.alloc(9);
  head.writeUIntBE(payload.length, 0, 3);
  head.writeUInt8(type, 3);
  head.writeUInt8(flags, 4);
  head.writeUInt32BE(stream, 5);
  return Buffer.concat([head, payload]);
}

/** Header fields as HPACK has them, none of them indexed (RFC 7541, 6.2.2). */
export function headerBlock(fields: Readonly<Record<string, string>>): Buffer {
  const parts = Object.entries(fields).flatMap(([name, value]) => [Buffer.from([0]), text(name), text(value)]);
  return Buffer.concat(parts);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value);
  if (bytes.length < 127) return Buffer.concat([Buffer.from([bytes.length]), bytes]);
  const length = [127];
  let rest = bytes.length - 127;
  for (; rest >= 128; rest >>= 7) length.push((rest & 127) | 128);
  return Buffer.concat([Buffer.from([...length, rest]), bytes]);
}

/** The fields that every call of a method begins with. */
export function callHeaders(method: string, more: Readonly<Record<string, string>> = {}): Buffer {
  return headerBlock({
    ":method": "POST",
    ":scheme": "http",
    ":path": `/presence.v1.PresenceService/${method}`,
    ":authority": "localhost",
    "content-type": "application/grpc",
    te: "trailers",
    ...more,
  });
}

/**
 * Calls with the same header fields and body, from the second one on with the fields of HPACK's dynamic table: 29 bytes
 * each with an empty request. `path` is `/package.Service/Method`; `body` has a prefix before each request.
 */
export function indexedCalls(
  path: string,
  body: Uint8Array = Buffer.alloc(5),
  more: Readonly<Record<string, string>> = {},
): (id: number) => Buffer {
  const fields = Object.entries({
    ":path": path,
    ":authority": "localhost",
    "content-type": "application/grpc",
    te: "trailers",
    ...more,
  });
  const postHttp = Buffer.from([0x83, 0x86]);
  const inserted = fields.flatMap(([name, value]) => [Buffer.from([0x40]), text(name), text(value)]);
  // The newest entry of the table has the lowest index, 62.
  const indexed = Buffer.from(fields.map((_, i) => 0x80 | (61 + fields.length - i)));
  const first = Buffer.concat([postHttp, ...inserted]);
  const others = Buffer.concat([postHttp, indexed]);
  return (id) =>
    Buffer.concat([
      frame(FRAME.HEADERS, FLAG.END_HEADERS, id, id === 1 ? first : others),
      frame(FRAME.DATA, FLAG.END_STREAM, id, body),
    ]);
}

/** Calls that are reset as soon as their headers are sent; the first of a connection, unless others went before. */
export function resets(count: number, before = 0): Buffer {
  const head = callHeaders("SubscribePresence", { "x-user-id": "mallory" });
  const cancel = Buffer.from([0, 0, 0, 8]);
  const ids = Array.from({ length: count }, (_, i) => (before + i) * 2 + 1);
  const frames = ids.map((id) => [
    frame(FRAME.HEADERS, FLAG.END_HEADERS, id, head),
    frame(FRAME.RST_STREAM, 0, id, cancel),
  ]);
  return Buffer.concat(frames.flat());
}

/** A TCP connection over which anything may be said. */
export class RawConnection {
  /** What the server ended it with, if it said so: GOAWAY's error code. */
  goawayCode: number | undefined;
  /** SETTINGS_MAX_CONCURRENT_STREAMS of the server. */
  maxStreams = Number.POSITIVE_INFINITY;
  /** Called after frames were read. */
  onRead: () => void = () => {};
  readonly #closed: Promise<void>;
  readonly #endedStreams = new Set<number>();
  #onStreamEnd: () => void = () => {};
  #read = Buffer.alloc(0);

  private constructor(
    private readonly socket: Socket,
    answersPings: boolean,
  ) {
    socket.on("error", () => {});
    this.#closed = new Promise((resolve) => socket.once("close", () => resolve()));
    socket.on("data", (chunk) => {
      this.#read = Buffer.concat([this.#read, chunk]);
      this.#frames(answersPings);
      this.onRead();
    });
  }

  /** Opens one; it has said nothing yet. */
  static async open(address: string, { answersPings = true } = {}): Promise<RawConnection> {
    const port = Number(address.slice(address.lastIndexOf(":") + 1));
    const socket = connect({ host: "127.0.0.1", port, noDelay: true });
    const connection = new RawConnection(socket, answersPings);
    await once(socket, "connect");
    return connection;
  }

  /** Says hello as a client should, with these settings. */
  greet(settings: Uint8Array = Buffer.alloc(0)): this {
    return this.send(PREFACE, frame(FRAME.SETTINGS, 0, 0, settings));
  }

  /** Whether the server has closed it, or said that it hears no more (GOAWAY). */
  get isClosed(): boolean {
    return this.goawayCode !== undefined || this.socket.destroyed || this.socket.readableEnded;
  }

  /** Reads nothing from now on. */
  stopReading(): this {
    this.socket.pause();
    return this;
  }

  send(...bytes: Uint8Array[]): this {
    if (!this.isClosed) this.socket.write(Buffer.concat(bytes));
    return this;
  }

  /** Sends, and waits while the server does not take it; false when the connection is over. */
  async push(...bytes: Uint8Array[]): Promise<boolean> {
    if (this.isClosed) return false;
    const taken = this.socket.write(Buffer.concat(bytes));
    if (taken) await new Promise((resolve) => setImmediate(resolve));
    else await Promise.race([new Promise((resolve) => this.socket.once("drain", resolve)), this.#closed]);
    return !this.isClosed;
  }

  /** Number of streams that the server has ended or reset. */
  get endedStreams(): number {
    return this.#endedStreams.size;
  }

  /** Resolves when the server has ended or reset a stream. */
  async ended(stream: number): Promise<void> {
    while (!this.#endedStreams.has(stream)) {
      await new Promise<void>((resolve) => {
        this.#onStreamEnd = resolve;
      });
    }
  }

  /** Resolves when the server has closed it. */
  async closed(): Promise<void> {
    await this.#closed;
  }

  /** Sends FIN after what was sent. */
  end(): void {
    this.socket.end();
  }

  destroy(): void {
    this.socket.destroy();
  }

  #frames(answersPings: boolean): void {
    while (this.#read.length >= 9 && this.#read.length >= 9 + this.#read.readUIntBE(0, 3)) {
      const end = 9 + this.#read.readUIntBE(0, 3);
      const type = this.#read.readUInt8(3);
      // ACK and END_STREAM are the same bit.
      const isAnswer = (this.#read.readUInt8(4) & FLAG.ACK) !== 0;
      const payload = this.#read.subarray(9, end);
      const endsStream = type === FRAME.RST_STREAM || ((type === FRAME.HEADERS || type === FRAME.DATA) && isAnswer);
      if (endsStream) {
        this.#endedStreams.add(this.#read.readUInt32BE(5));
        this.#onStreamEnd();
      }
      if (type === FRAME.GOAWAY) this.goawayCode = payload.readUInt32BE(4);
      if (answersPings && type === FRAME.PING && !isAnswer) this.send(frame(FRAME.PING, FLAG.ACK, 0, payload));
      if (answersPings && type === FRAME.SETTINGS && !isAnswer) this.send(frame(FRAME.SETTINGS, FLAG.ACK, 0));
      if (type === FRAME.SETTINGS && !isAnswer) this.#readSettings(payload);
      this.#read = this.#read.subarray(end);
    }
  }

  #readSettings(payload: Buffer): void {
    const MAX_CONCURRENT_STREAMS = 3;
    for (let at = 0; at < payload.length; at += 6)
      if (payload.readUInt16BE(at) === MAX_CONCURRENT_STREAMS) this.maxStreams = payload.readUInt32BE(at + 2);
  }
}
