import type { MessageInitShape } from "@bufbuild/protobuf";
import type { PresenceEvent } from "../../gen/presence/v1/presence_pb.js";
import type {
  SubscribePresenceRequestSchema,
  SubscribePresenceResponse,
} from "../../gen/presence/v1/presence_service_pb.js";
import type { GeneratedClient } from "./calls.js";

/** The kinds of event, as the generated types name them. */
export type EventCase = NonNullable<PresenceEvent["event"]["case"]>;

/** What a subscriber may ask for. */
export type SubscribeRequest = MessageInitShape<typeof SubscribePresenceRequestSchema>;

/** One open SubscribePresence stream whose events are taken one by one. */
export class Listener {
  readonly #responses: AsyncIterator<SubscribePresenceResponse>;
  readonly #ready: PresenceEvent[] = [];
  readonly #abort = new AbortController();
  /** Every message as it came, for tests that look at how events are put together. */
  readonly messages: SubscribePresenceResponse[] = [];

  constructor(client: GeneratedClient, request: SubscribeRequest) {
    const responses = client.subscribePresence(request, { signal: this.#abort.signal });
    this.#responses = responses[Symbol.asyncIterator]();
  }

  /** The next event; rejects with the stream's error, or when the stream ends. */
  async next(): Promise<PresenceEvent> {
    while (this.#ready.length === 0) this.#ready.push(...(await this.nextMessage()).events);
    return this.#ready.shift()!;
  }

  /** The next message, which has no events if it is a heartbeat; rejects as `next` does. */
  async nextMessage(): Promise<SubscribePresenceResponse> {
    const { value, done } = await this.#responses.next();
    if (done) throw new Error("the stream ended with OK");
    this.messages.push(value);
    return value;
  }

  /** The next event, which must be of this kind; gives its body and the event. */
  async expect<Kind extends EventCase>(kind: Kind): Promise<BodyOf<Kind> & WithEvent> {
    const event = await this.next();
    if (event.event.case !== kind) {
      throw new Error(`expected ${kind}, got ${event.event.case} of user "${event.userId}"`);
    }
    return Object.assign(event.event.value as object, { $event: event }) as BodyOf<Kind> & WithEvent;
  }

  /** Takes SUBSCRIBED and the whole SNAPSHOT, and gives the present users' states by id. */
  async opened(): Promise<Map<string, Record<string, string>>> {
    await this.expect("subscribed");
    return this.snapshot();
  }

  /** Takes a whole SNAPSHOT, and gives the present users' states by id. */
  async snapshot(): Promise<Map<string, Record<string, string>>> {
    const users = new Map<string, Record<string, string>>();
    for (;;) {
      const chunk = await this.expect("snapshot");
      for (const user of chunk.users) users.set(user.userId, { ...user.states });
      if (chunk.last) return users;
    }
  }

  /** Cancels the stream, while the connection lives. */
  cancel(): void {
    this.#abort.abort();
  }
}

/** The event that a body came in. */
interface WithEvent {
  readonly $event: PresenceEvent;
}

type BodyOf<Kind extends EventCase> = Extract<PresenceEvent["event"], { case: Kind }>["value"];
