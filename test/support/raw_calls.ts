import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { Client, type ClientReadableStream, credentials } from "@grpc/grpc-js";
import {
  SubscribePresenceRequestSchema,
  SubscribePresenceResponseSchema,
} from "../../gen/presence/v1/presence_service_pb.js";

const SERVICE = "/presence.v1.PresenceService";

const same = (bytes: Buffer): Buffer => bytes;

function clientOf(address: string): Client {
  return new Client(address, credentials.createInsecure(), { "grpc.max_receive_message_length": -1 });
}

/** Makes a unary call with an encoded request; resolves with the encoded answer, whatever its size. */
export async function callRaw(address: string, method: string, request: Uint8Array): Promise<Uint8Array> {
  const client = clientOf(address);
  try {
    return await new Promise((resolve, reject) => {
      client.makeUnaryRequest(`${SERVICE}/${method}`, same, same, Buffer.from(request), (error, answer) => {
        if (error) reject(error);
        else resolve(answer!);
      });
    });
  } finally {
    client.close();
  }
}

/** A subscriber that counts what it receives. */
class CountingSubscriber {
  /** Bytes of the messages that brought the changes of the channel. */
  bytes = 0;
  revision = 0n;
  readonly opened: Promise<void>;
  #onEvents: () => void = () => {};

  constructor(private readonly call: ClientReadableStream<Buffer>) {
    this.opened = new Promise((resolve, reject) => {
      call.on("error", reject);
      call.on("data", (message: Buffer) => {
        const { events } = fromBinary(SubscribePresenceResponseSchema, message);
        if (events.some(({ event }) => event.case === "remoteStateChanged")) this.bytes += message.length;
        for (const { event, position } of events) {
          this.revision = position!.revision;
          if (event.case === "snapshot" && event.value.last) resolve();
        }
        this.#onEvents();
      });
    });
  }

  cancel(): void {
    this.call.cancel();
  }

  /** The bytes so far, once it has received this revision. */
  receivedUntil(revision: bigint): Promise<number> {
    return new Promise((resolve) => {
      this.#onEvents = () => {
        if (this.revision >= revision) resolve(this.bytes);
      };
      this.#onEvents();
    });
  }
}

/** Quiet subscribers of one channel, on one connection. */
export class CountingSubscribers {
  private constructor(
    private readonly client: Client,
    private readonly subscribers: readonly CountingSubscriber[],
  ) {}

  /** Resolves when each has received its snapshot. */
  static async open(
    address: string,
    channel: MessageInitShape<typeof SubscribePresenceRequestSchema>["channel"],
    count: number,
  ): Promise<CountingSubscribers> {
    const client = clientOf(address);
    const subscribers = Array.from({ length: count }, (_, i) => {
      const request = create(SubscribePresenceRequestSchema, { channel, userId: `subscriber ${i}`, quiet: true });
      const bytes = Buffer.from(toBinary(SubscribePresenceRequestSchema, request));
      return new CountingSubscriber(client.makeServerStreamRequest(`${SERVICE}/SubscribePresence`, same, same, bytes));
    });
    await Promise.all(subscribers.map(({ opened }) => opened));
    return new CountingSubscribers(client, subscribers);
  }

  /** How many bytes of changes each has received, once all have received this revision. */
  receivedUntil(revision: bigint): Promise<number[]> {
    return Promise.all(this.subscribers.map((subscriber) => subscriber.receivedUntil(revision)));
  }

  close(): void {
    for (const subscriber of this.subscribers) subscriber.cancel();
    this.client.close();
  }
}
