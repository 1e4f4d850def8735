import { BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type {
  ChannelCodec,
  EventCodec,
  IntervalChanges,
  Piece,
  SnapshotChunk,
  SnapshotContent,
  StateBytes,
  Terms,
} from "../fanout/ports.js";
import type { ChannelId } from "../model/channel_id.js";
import type { Delta, StateDelta } from "../model/delta.js";
import { Scratch } from "./scratch.js";
import { encodeUserState, encodeUsers } from "./user_states.js";
import { putVarint, varintSize } from "./varint.js";

/*
 * Written by hand, field by field, because an event's parts are encoded at different moments and laid together as
 * bytes: the channel once for its life, a user's state once for all events and snapshots that carry it. Field numbers
 * are the contract's; a test decodes each kind with the generated types.
 */

/** `repeated PresenceEvent events = 1` of SubscribePresenceResponse. */
const EVENTS = 1;

/** Fields of PresenceEvent. */
const EVENT = { channel: 1, position: 2, time: 3, userId: 4 } as const;

/** The fields of PresenceEvent's `oneof event`. */
const KIND = {
  subscribed: 10,
  snapshot: 11,
  interval: 12,
  join: 13,
  leave: 14,
  timeout: 15,
  state: 16,
  occupied: 18,
  vacated: 19,
} as const;

/** Encodes events as the contract has them. */
export const eventCodec: EventCodec = {
  forChannel: (channel, epoch) => new ProtoChannelCodec(channel, epoch),
  state: encodeUserState,
  users: encodeUsers,
};

const events = new Scratch();

class ProtoChannelCodec implements ChannelCodec {
  readonly #channel: Uint8Array;
  readonly #epoch: Uint8Array;

  constructor(channel: ChannelId, epoch: string) {
    this.#channel = new BinaryWriter()
      .tag(EVENT.channel, WireType.LengthDelimited)
      .fork()
      .tag(1, WireType.Varint)
      .int32(channel.type)
      .tag(2, WireType.LengthDelimited)
      .string(channel.name)
      .join()
      .finish();
    this.#epoch = new BinaryWriter().tag(1, WireType.LengthDelimited).string(epoch).finish();
  }

  delta(delta: Delta, given: StateBytes | undefined): Piece {
    const state = given ?? (delta.kind === "state" ? encodeUserState(delta.state) : undefined);
    return this.#event(delta.revision, delta.time, delta.userId, KIND[delta.kind], (writer) => {
      if (delta.kind === "state") stateChanged(writer, delta, state!);
      else writer.tag(1, WireType.Varint).uint32(delta.occupancy);
    });
  }

  subscribed(terms: Terms, revision: number, time: number): Piece {
    return this.#event(revision, time, terms.userId, KIND.subscribed, (writer) => {
      writer.tag(1, WireType.LengthDelimited).string(terms.sessionId);
      writeTime(writer, 2, terms.presenceTimeoutMs);
      if (terms.resumed) writer.tag(3, WireType.Varint).bool(true);
      writer.tag(4, WireType.Varint).uint32(terms.occupancy);
      if (terms.heartbeatMs > 0) writeTime(writer, 5, terms.heartbeatMs);
    });
  }

  snapshot({ users, revision, time, occupancy, last }: SnapshotContent): SnapshotChunk {
    const envelope = events.encode((writer) => this.#envelope(writer, revision, time));
    const tail = events.encode((writer) => {
      if (last) writer.tag(2, WireType.Varint).bool(true);
      writer.tag(3, WireType.Varint).uint32(occupancy);
    });
    const body = users.reduce((bytes, { length }) => bytes + length, tail.length);
    const event = envelope.length + 1 + varintSize(body) + body;
    const head = Buffer.allocUnsafeSlow(1 + varintSize(event) + envelope.length + 1 + varintSize(body));
    head[0] = (EVENTS << 3) | WireType.LengthDelimited;
    let at = putVarint(head, 1, event);
    head.set(envelope, at);
    at += envelope.length;
    head[at] = (KIND.snapshot << 3) | WireType.LengthDelimited;
    putVarint(head, at + 1, body);
    return { parts: [head, ...users, tail], length: head.length + body };
  }

  interval({ joined, left, timedOut, changed, revision, time, occupancy }: IntervalChanges): Piece {
    return this.#event(revision, time, "", KIND.interval, (writer) => {
      for (const userId of joined) writer.tag(1, WireType.LengthDelimited).string(userId);
      for (const userId of left) writer.tag(2, WireType.LengthDelimited).string(userId);
      for (const userId of timedOut) writer.tag(3, WireType.LengthDelimited).string(userId);
      for (const state of changed) writer.tag(4, WireType.LengthDelimited).bytes(state);
      writer.tag(5, WireType.Varint).uint32(occupancy);
    });
  }

  occupied({ revision, time }: Delta): Piece {
    return this.#event(revision, time, "", KIND.occupied, () => {});
  }

  vacated({ revision, time }: Delta): Piece {
    return this.#event(revision, time, "", KIND.vacated, () => {});
  }

  #event(revision: number, time: number, userId: string, kind: number, body: (writer: BinaryWriter) => void): Piece {
    return events.encode((writer) => {
      writer.tag(EVENTS, WireType.LengthDelimited).fork();
      this.#envelope(writer, revision, time);
      if (userId !== "") writer.tag(EVENT.userId, WireType.LengthDelimited).string(userId);
      writer.tag(kind, WireType.LengthDelimited).fork();
      body(writer);
      writer.join().join();
    });
  }

  /** Where and when it happened. */
  #envelope(writer: BinaryWriter, revision: number, time: number): void {
    writer.raw(this.#channel);
    writer.tag(EVENT.position, WireType.LengthDelimited).fork().raw(this.#epoch);
    if (revision !== 0) writer.tag(2, WireType.Varint).uint64(revision);
    writer.join();
    writeTime(writer, EVENT.time, time);
  }
}

function stateChanged(writer: BinaryWriter, delta: StateDelta, state: StateBytes): void {
  writer.tag(1, WireType.LengthDelimited).bytes(state);
  for (const key of delta.changedKeys) writer.tag(2, WireType.LengthDelimited).string(key);
  for (const key of delta.removedKeys) writer.tag(3, WireType.LengthDelimited).string(key);
}

/** A Timestamp or a Duration, which are alike: seconds, and what is left in nanoseconds. */
function writeTime(writer: BinaryWriter, field: number, ms: number): void {
  const seconds = Math.floor(ms / 1000);
  const nanos = Math.round((ms - seconds * 1000) * 1e6);
  writer.tag(field, WireType.LengthDelimited).fork();
  if (seconds !== 0) writer.tag(1, WireType.Varint).int64(seconds);
  if (nanos !== 0) writer.tag(2, WireType.Varint).int32(nanos);
  writer.join();
}
