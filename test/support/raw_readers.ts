import { type ClientHttp2Session, type ClientHttp2Stream, connect, constants } from "node:http2";
import { create, fromBinary, toBinary } from "@bufbuild/protobuf";
import {
  SubscribePresenceRequestSchema,
  type SubscribePresenceResponse,
  SubscribePresenceResponseSchema,
} from "../../gen/presence/v1/presence_service_pb.js";
import { message } from "./calls.js";

const PATH = "/presence.v1.PresenceService/SubscribePresence";

/** Many subscribers that cost next to nothing: they count bytes, and decode nothing unless asked to. */
export class RawReaders {
  readonly #sessions: ClientHttp2Session[] = [];
  readonly #streams: ClientHttp2Stream[] = [];

  constructor(private readonly address: string) {}

  /** Opens `count` streams on `connections` connections; resolves when each has had its first bytes. */
  async open(channel: string, count: number, connections: number, prefix: string): Promise<void> {
    const first = this.#sessions.length;
    for (let i = 0; i < connections; i++) this.#sessions.push(this.#connect());
    const opened = Array.from({ length: count }, (_, i) => {
      const stream = this.#subscribe(this.#sessions[first + (i % connections)]!, channel, `${prefix}${i}`);
      return new Promise<void>((resolve, reject) => {
        stream.once("data", () => resolve()).once("error", reject);
        stream.resume();
      });
    });
    await Promise.all(opened);
  }

  /** Opens one stream on a connection of its own that decodes all that it is sent. */
  async decode(
    channel: string,
    userId: string,
    onResponse: (response: SubscribePresenceResponse) => void,
  ): Promise<void> {
    const session = this.#connect();
    this.#sessions.push(session);
    const stream = this.#subscribe(session, channel, userId);
    let rest: Buffer = Buffer.alloc(0);
    await new Promise<void>((resolve) => {
      stream.on("data", (chunk: Buffer) => {
        rest = rest.length === 0 ? chunk : Buffer.concat([rest, chunk]);
        while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
          const end = 5 + rest.readUInt32BE(1);
          onResponse(fromBinary(SubscribePresenceResponseSchema, rest.subarray(5, end)));
          rest = rest.subarray(end);
        }
        resolve();
      });
    });
  }

  /** Cuts all connections. */
  close(): void {
    for (const session of this.#sessions) session.destroy();
  }

  #connect(): ClientHttp2Session {
    const session = connect(`http://${this.address}`);
    session.once("connect", () => session.setLocalWindowSize(16 * 1024 * 1024));
    session.on("error", () => {});
    return session;
  }

  #subscribe(session: ClientHttp2Session, channel: string, userId: string): ClientHttp2Stream {
    const request = toBinary(
      SubscribePresenceRequestSchema,
      create(SubscribePresenceRequestSchema, { channel: message(channel), userId }),
    );
    const prefix = Buffer.from([0, 0, 0, 0, 0]);
    prefix.writeUInt32BE(request.length, 1);
    const stream = session.request({
      [constants.HTTP2_HEADER_METHOD]: "POST",
      [constants.HTTP2_HEADER_PATH]: PATH,
      [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
      te: "trailers",
    });
    stream.on("error", () => {});
    stream.end(Buffer.concat([prefix, request]));
    this.#streams.push(stream);
    return stream;
  }
}
