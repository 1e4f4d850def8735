import { fromBinary } from "@bufbuild/protobuf";
import type { PresenceEvent } from "../../../gen/presence/v1/presence_pb.js";
import {
  type SubscribePresenceResponse,
  SubscribePresenceResponseSchema,
} from "../../../gen/presence/v1/presence_service_pb.js";
import type { Sink } from "../../../src/fanout/ports.js";
import type { PresenceError } from "../../../src/model/errors.js";

/** A stream whose client reads when the test says so. Decodes what is written with the generated types. */
export class FakeSink implements Sink {
  onDrain: () => void = () => {};
  /** What was written and not looked at yet. */
  readonly responses: SubscribePresenceResponse[] = [];
  /** The size of every message ever written. */
  readonly sizes: number[] = [];
  /** How the server ended the stream. */
  ended: { readonly error: PresenceError | undefined; readonly aborted: boolean } | undefined;
  /** How many messages came although there was no room and none had been reported since. */
  overruns = 0;
  #room = Number.POSITIVE_INFINITY;
  #owed = false;

  constructor(private readonly onResponse: (response: SubscribePresenceResponse) => void = () => {}) {}

  /** From now on takes `writes` messages, and says with the last of them that there is no more room. */
  stall(writes = 1): void {
    this.#room = Math.max(1, writes);
  }

  /** The client reads: there is room again, for `writes` messages. */
  drain(writes = Number.POSITIVE_INFINITY): void {
    this.#room = writes;
    if (!this.#owed) return;
    this.#owed = false;
    this.onDrain();
  }

  /** A report of room, while there is room for no more than one message, or while nobody waits for it. */
  drainForNothing(): void {
    this.#owed = false;
    this.onDrain();
  }

  heartbeat(): void {
    throw new Error("that is the transport's");
  }

  write(message: Uint8Array): boolean {
    if (this.ended) throw new Error("written to after its end");
    const response = fromBinary(SubscribePresenceResponseSchema, message);
    this.sizes.push(message.length);
    if (this.#owed) this.overruns += 1;
    this.responses.push(response);
    this.onResponse(response);
    this.#room -= 1;
    if (this.#room > 0) return true;
    this.#owed = true;
    return false;
  }

  writeParts(parts: readonly Uint8Array[], length: number): boolean {
    const message = Buffer.concat(parts);
    if (message.length !== length) throw new Error(`parts of ${message.length} bytes, said to be ${length}`);
    return this.write(message);
  }

  end(error: PresenceError | undefined): void {
    this.#end({ error, aborted: false });
  }

  abort(error: PresenceError): void {
    this.#end({ error, aborted: true });
  }

  /** Takes the events that were written since the last time. */
  take(): PresenceEvent[] {
    return this.responses.splice(0).flatMap(({ events }) => events);
  }

  /**
   * Takes the events in short: `SUBSCRIBED 0`, `SNAPSHOT 3 ann bob`, `join bob 4`, `state ann 5 mood=fine`, `INTERVAL 9
   * +cid -bob ?dan ann mood=fine of 2` (who joined, left, was lost, changed).
   */
  told(): string[] {
    return this.take().map(inShort);
  }

  /** The same for a feed: with `@` and the channel's name behind what happened in a channel, and only the kind of others. */
  toldOfChannels(): string[] {
    return this.take().map((event) => {
      if (event.channel) return `${inShort(event)} @${event.channel.name}`;
      return event.event.case === "outOfService" ? "OUT_OF_SERVICE" : event.event.case!.toUpperCase();
    });
  }

  #end(ended: NonNullable<FakeSink["ended"]>): void {
    if (this.ended) throw new Error("ended twice");
    this.ended = ended;
  }
}

function inShort({ event, userId, position }: PresenceEvent): string {
  const revision = position!.revision;
  switch (event.case) {
    case "subscribed":
      return `SUBSCRIBED ${revision}`;
    case "snapshot": {
      const users = event.value.users.map(({ userId, states }) => `${userId}${pairs(states)}`);
      return ["SNAPSHOT", revision, ...users, ...(event.value.last ? [] : ["…"])].join(" ");
    }
    case "remoteStateChanged":
      return `state ${userId} ${revision}${pairs(event.value.state!.states)}`;
    case "interval": {
      const { joined, left, timedOut, changed, occupancy } = event.value;
      const lists = [
        ...joined.map((user) => `+${user}`),
        ...left.map((user) => `-${user}`),
        ...timedOut.map((user) => `?${user}`),
        ...changed.map(({ userId, states }) => `${userId}${pairs(states)}`),
      ];
      return ["INTERVAL", revision, ...lists, `of ${occupancy}`].join(" ");
    }
    default:
      return `${event.case?.replace("remote", "").toLowerCase()} ${userId} ${revision}`;
  }
}

function pairs(states: Record<string, string>): string {
  return Object.keys(states)
    .sort()
    .map((key) => ` ${key}=${states[key]}`)
    .join("");
}
