import { connect, type Socket } from "node:net";
import { headerBlock } from "./hpack.js";

/** Hears what comes on one HTTP/2 stream. */
export interface StreamListener {
  /** A whole gRPC message lies between `start` and `end`. The bytes are reused after the call. */
  message(bytes: Buffer, start: number, end: number): void;
  /** The stream is over; `reason` says how, for a log. */
  ended(reason: string): void;
}

interface Stream {
  readonly listener: StreamListener;
  /** Pieces of a gRPC message that is not complete yet. */
  parts: Buffer[];
  missing: number;
}

const FRAME = { data: 0, headers: 1, reset: 3, settings: 4, ping: 6, goAway: 7, windowUpdate: 8 } as const;
const END_STREAM = 0x1;
const END_HEADERS = 0x4;
const ACK = 0x1;
const PADDED = 0x8;
const CANCEL = 8;
const PREFACE = Buffer.from("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
/** The largest frame that a server takes unless it says otherwise. */
const MAX_FRAME = 16_384;
const MAX_WINDOW = 0x7fffffff;
const FIRST_WINDOW = 65_535;
const TOP_UP = 1 << 29;
const EMPTY = Buffer.alloc(0);

/**
 * The client's end of an HTTP/2 connection, cut down to what a bench needs: gRPC calls out, messages in.
 *
 * It stands in for `node:http2` because a load generator that costs more than the server measures itself. Response
 * headers are not decoded: a call has succeeded when a message came. Receive windows are as large as the protocol
 * allows, so what a reader can take is bounded by the socket alone.
 */
export class H2Connection {
  /** Bytes that came from the server, framing included. */
  bytesReceived = 0;
  /** Called when the connection is lost without {@link close}. */
  onLost: (reason: string) => void = () => {};

  readonly #socket: Socket;
  readonly #authority: string;
  readonly #blocks = new Map<string, Buffer>();
  readonly #streams = new Map<number, Stream>();
  #nextId = 1;
  #sendWindow = FIRST_WINDOW;
  #received = 0;
  #rest = EMPTY;
  #out: Buffer[] = [];
  #closed = false;

  private constructor(
    socket: Socket,
    authority: string,
    private readonly token: string | undefined,
  ) {
    this.#socket = socket;
    this.#authority = authority;
  }

  /** Connects to `host:port` and sends the preface; calls may follow at once, each with the token, if there is one. */
  static connect(address: string, token?: string): Promise<H2Connection> {
    const { hostname, port } = new URL(`http://${address}`);
    return new Promise((resolve, reject) => {
      const buffer = Buffer.allocUnsafeSlow(128 * 1024);
      const socket = connect({
        host: hostname,
        port: Number(port),
        noDelay: true,
        onread: {
          buffer,
          callback: (size) => {
            connection.#read(buffer.subarray(0, size));
            return true;
          },
        },
      });
      const connection = new H2Connection(socket, address, token);
      socket.once("connect", () => {
        socket.off("error", reject);
        socket.on("error", (error) => connection.#lost(error.message));
        socket.on("close", () => connection.#lost("closed by the server"));
        connection.#greet();
        resolve(connection);
      });
      socket.once("error", reject);
    });
  }

  /**
   * Queues a call: headers and one message. Nothing leaves before {@link flush}, so that several calls can arrive
   * together. `halfClose = false` keeps the request side open.
   */
  call(path: string, message: Buffer, listener: StreamListener, halfClose = true): number {
    const id = this.#nextId;
    this.#nextId += 2;
    this.#streams.set(id, { listener, parts: [], missing: 0 });
    const block = this.#block(path);
    const length = 5 + message.length;
    this.#sendWindow -= length;
    if (this.#sendWindow < 0) throw new Error("the bench sent more than the server's window allows");
    const dataFrames = Math.ceil(length / MAX_FRAME);
    const frames = Buffer.allocUnsafe(9 + block.length + 9 * dataFrames + length);
    let at = frameHeader(frames, 0, block.length, FRAME.headers, END_HEADERS, id);
    at += block.copy(frames, at);
    let sent = -5;
    for (let left = length; left > 0; left -= MAX_FRAME) {
      const size = Math.min(left, MAX_FRAME);
      at = frameHeader(frames, at, size, FRAME.data, halfClose && size === left ? END_STREAM : 0, id);
      const end = at + size;
      if (sent < 0) {
        frames[at] = 0;
        at = frames.writeUInt32BE(message.length, at + 1);
        sent = 0;
      }
      sent += message.copy(frames, at, sent, sent + end - at);
      at = end;
    }
    this.#out.push(frames);
    return id;
  }

  /** Queues the cancelling of a call; its listener hears no more. */
  cancel(id: number): void {
    if (!this.#streams.delete(id)) return;
    const frame = Buffer.allocUnsafe(13);
    frameHeader(frame, 0, 4, FRAME.reset, 0, id);
    frame.writeUInt32BE(CANCEL, 9);
    this.#out.push(frame);
  }

  /** Sends what is queued in one write. */
  flush(): void {
    if (this.#out.length === 0) return;
    this.#socket.write(this.#out.length === 1 ? this.#out[0]! : Buffer.concat(this.#out));
    this.#out = [];
  }

  /** Drops the connection. */
  close(): void {
    this.#closed = true;
    this.#socket.destroy();
  }

  #greet(): void {
    const settings = Buffer.alloc(9 + 12);
    frameHeader(settings, 0, 12, FRAME.settings, 0, 0);
    settings.writeUInt16BE(2, 9); // ENABLE_PUSH = 0
    settings.writeUInt16BE(4, 15); // INITIAL_WINDOW_SIZE
    settings.writeUInt32BE(MAX_WINDOW, 17);
    this.#out.push(PREFACE, settings, windowUpdate(MAX_WINDOW - FIRST_WINDOW));
    this.flush();
  }

  #block(path: string): Buffer {
    let block = this.#blocks.get(path);
    if (block === undefined) {
      block = headerBlock(path, this.#authority, this.token);
      this.#blocks.set(path, block);
    }
    return block;
  }

  #read(chunk: Buffer): void {
    this.bytesReceived += chunk.length;
    const bytes = this.#rest.length === 0 ? chunk : Buffer.concat([this.#rest, chunk]);
    let at = 0;
    while (bytes.length - at >= 9) {
      const length = bytes.readUIntBE(at, 3);
      const end = at + 9 + length;
      if (end > bytes.length) break;
      this.#frame(bytes[at + 3]!, bytes[at + 4]!, bytes.readUInt32BE(at + 5) & MAX_WINDOW, bytes, at + 9, end);
      at = end;
    }
    this.#rest = at === bytes.length ? EMPTY : Buffer.from(bytes.subarray(at));
    this.flush();
  }

  #frame(type: number, flags: number, id: number, bytes: Buffer, start: number, end: number): void {
    switch (type) {
      case FRAME.data: {
        if ((flags & PADDED) !== 0) throw new Error("padded DATA frames are not expected");
        this.#count(end - start);
        const stream = this.#streams.get(id);
        if (stream === undefined) return;
        gather(stream, bytes, start, end);
        if ((flags & END_STREAM) !== 0) this.#end(id, "ended");
        return;
      }
      case FRAME.headers:
        if ((flags & END_STREAM) !== 0) this.#end(id, `ended with ${printable(bytes, start, end)}`);
        return;
      case FRAME.reset:
        this.#end(id, `reset with code ${bytes.readUInt32BE(start)}`);
        return;
      case FRAME.settings:
        if ((flags & ACK) === 0) this.#answer(FRAME.settings, EMPTY);
        return;
      case FRAME.ping:
        if ((flags & ACK) === 0) this.#answer(FRAME.ping, Buffer.from(bytes.subarray(start, end)));
        return;
      case FRAME.windowUpdate:
        if (id === 0) this.#sendWindow += bytes.readUInt32BE(start);
        return;
      case FRAME.goAway:
        this.#lost(`GOAWAY, code ${bytes.readUInt32BE(start + 4)} ${printable(bytes, start + 8, end)}`);
        return;
    }
  }

  #answer(type: number, payload: Buffer): void {
    const header = Buffer.allocUnsafe(9);
    frameHeader(header, 0, payload.length, type, ACK, 0);
    this.#out.push(header, payload);
  }

  /** Gives the connection's receive window back in large steps; a stream's never runs out within a run. */
  #count(size: number): void {
    this.#received += size;
    if (this.#received < TOP_UP) return;
    this.#out.push(windowUpdate(this.#received));
    this.#received = 0;
  }

  #end(id: number, reason: string): void {
    const stream = this.#streams.get(id);
    this.#streams.delete(id);
    stream?.listener.ended(reason);
  }

  #lost(reason: string): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#socket.destroy();
    this.onLost(reason);
  }
}

/** Cuts the bytes of a stream into gRPC messages; a message may span many frames, a frame many messages. */
function gather(stream: Stream, bytes: Buffer, start: number, end: number): void {
  if (stream.parts.length > 0) {
    stream.parts.push(Buffer.from(bytes.subarray(start, end)));
    stream.missing -= end - start;
    if (stream.missing > 0) return;
    bytes = Buffer.concat(stream.parts);
    stream.parts = [];
    start = 0;
    end = bytes.length;
  }
  while (end - start >= 5) {
    const next = start + 5 + bytes.readUInt32BE(start + 1);
    if (next > end) break;
    stream.listener.message(bytes, start + 5, next);
    start = next;
  }
  if (start === end) return;
  const have = end - start;
  stream.parts.push(Buffer.from(bytes.subarray(start, end)));
  stream.missing = have < 5 ? 1 : 5 + bytes.readUInt32BE(start + 1) - have;
}

function frameHeader(to: Buffer, at: number, length: number, type: number, flags: number, id: number): number {
  to.writeUIntBE(length, at, 3);
  to[at + 3] = type;
  to[at + 4] = flags;
  to.writeUInt32BE(id, at + 5);
  return at + 9;
}

function windowUpdate(increment: number): Buffer {
  const frame = Buffer.allocUnsafe(13);
  frameHeader(frame, 0, 4, FRAME.windowUpdate, 0, 0);
  frame.writeUInt32BE(increment, 9);
  return frame;
}

function printable(bytes: Buffer, start: number, end: number): string {
  return bytes.toString("latin1", start, end).replace(/[^\x20-\x7e]/g, ".");
}
