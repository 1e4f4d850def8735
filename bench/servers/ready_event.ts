import { create, toBinary } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { ChannelType, PresenceEventSchema } from "../../gen/presence/v1/presence_pb.js";
import {
  type SubscribePresenceResponse,
  SubscribePresenceResponseSchema,
} from "../../gen/presence/v1/presence_service_pb.js";
import { FieldScanner } from "../load/event_scanner.js";
import { BLANK_STAMP, findStamp, STAMP_LENGTH } from "../load/stamp.js";

/** The baselines begin here so that every revision of a run takes three bytes and can be written over in place. */
const FIRST_REVISION = 1 << 14;
const REVISION_MARK = Buffer.from([0x10, 0x80, 0x80, 0x01]);
/** As long as those that rollcall makes. */
const EPOCH = "e".repeat(10);
const SESSION_ID = "s".repeat(22);

/** The event of one state change, with the fields and the size that rollcall's has. */
export function stateChanged(channel: string, revision: number, stamp: string): SubscribePresenceResponse {
  const now = timestampFromMs(Date.now());
  const state = { userId: "m0_0", states: { Mic: stamp }, revision: BigInt(revision), updateTime: now, joinTime: now };
  const event = create(PresenceEventSchema, {
    channel: { type: ChannelType.MESSAGE, name: channel },
    position: { epoch: EPOCH, revision: BigInt(revision) },
    time: now,
    userId: "m0_0",
    event: { case: "remoteStateChanged", value: { state, changedKeys: ["Mic"] } },
  });
  return create(SubscribePresenceResponseSchema, { events: [event] });
}

/** What a baseline says first on a stream: the reader is in place, after `changes` changes. */
export function greeting(channel: string, changes: number): SubscribePresenceResponse {
  const base = {
    channel: { type: ChannelType.MESSAGE, name: channel },
    position: { epoch: EPOCH, revision: BigInt(FIRST_REVISION + changes) },
  };
  return create(SubscribePresenceResponseSchema, {
    events: [
      { ...base, event: { case: "subscribed", value: { sessionId: SESSION_ID, occupancy: 1 } } },
      { ...base, event: { case: "snapshot", value: { last: true, occupancy: 1 } } },
    ],
  });
}

/** A channel of a baseline: counts its changes and makes each into bytes by writing over an encoded event. */
export class ReadyEvents {
  changes = 0;
  readonly #template: Buffer;
  readonly #revisionAt: number;
  readonly #stampAt: number;

  constructor(readonly channel: string) {
    const message = stateChanged(channel, FIRST_REVISION, BLANK_STAMP);
    this.#template = Buffer.from(toBinary(SubscribePresenceResponseSchema, message));
    this.#revisionAt = this.#template.indexOf(REVISION_MARK) + 1;
    this.#stampAt = findStamp(this.#template, 0, this.#template.length);
  }

  /** The encoded message of the next change, with the stamp that the request carries. */
  next(request: Buffer): Buffer {
    const revision = FIRST_REVISION + ++this.changes;
    const bytes = Buffer.from(this.#template);
    bytes[this.#revisionAt] = (revision & 0x7f) | 0x80;
    bytes[this.#revisionAt + 1] = ((revision >>> 7) & 0x7f) | 0x80;
    bytes[this.#revisionAt + 2] = (revision >>> 14) & 0x7f;
    const stampAt = findStamp(request, 0, request.length);
    request.copy(bytes, this.#stampAt, stampAt, stampAt + STAMP_LENGTH);
    return bytes;
  }

  /** The next change as an object, for the baseline that encodes it once per reader. */
  nextMessage(stamp: string): SubscribePresenceResponse {
    return stateChanged(this.channel, FIRST_REVISION + ++this.changes, stamp);
  }

  /** The encoded greeting of a new reader. */
  greeting(): Buffer {
    return Buffer.from(toBinary(SubscribePresenceResponseSchema, greeting(this.channel, this.changes)));
  }
}

/** What a baseline has to know of a request. */
export interface Wish {
  channel: string;
  /** Whether the stream hears events: `with_presence` is not false. */
  hears: boolean;
}

const fields = new FieldScanner();
const channelFields = new FieldScanner();

/** Reads the channel of any request, and `with_presence` of a subscription, without building the message. */
export function wishOf(request: Buffer, isSubscription: boolean): Wish {
  const wish: Wish = { channel: "", hears: true };
  fields.enter(request, 0, request.length);
  for (let number = fields.field(); number !== 0; number = fields.field()) {
    if (number === 3 && isSubscription) wish.hears = fields.value === 1;
    if (number !== 1) continue;
    channelFields.enter(request, fields.start, fields.end);
    for (let inner = channelFields.field(); inner !== 0; inner = channelFields.field()) {
      if (inner === 2) wish.channel = request.toString("latin1", channelFields.start, channelFields.end);
    }
  }
  return wish;
}
