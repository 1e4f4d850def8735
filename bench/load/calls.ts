import { create, toBinary } from "@bufbuild/protobuf";
import { DurationSchema, durationFromMs } from "@bufbuild/protobuf/wkt";
import { ChannelType } from "../../gen/presence/v1/presence_pb.js";
import {
  HeartbeatRequestSchema,
  JoinChannelRequestSchema,
  ListOnlineUsersRequestSchema,
  SetStateRequestSchema,
  SubscribePresenceRequestSchema,
} from "../../gen/presence/v1/presence_service_pb.js";
import { BLANK_STAMP, findStamp, nowMicros, stampOf } from "./stamp.js";

/** The paths of the calls that the bench makes. */
export const PATH = {
  setState: "/presence.v1.PresenceService/SetState",
  subscribe: "/presence.v1.PresenceService/SubscribePresence",
  join: "/presence.v1.PresenceService/JoinChannel",
  listOnlineUsers: "/presence.v1.PresenceService/ListOnlineUsers",
  heartbeat: "/presence.v1.PresenceService/Heartbeat",
  /** Takes any bytes, does nothing and answers with an empty message; the grpc-js baseline has it. */
  nothing: "/bench.Baseline/Nothing",
} as const;

/** A SetStateRequest with one key, whose value is a stamp to be renewed for each call. */
export class SetStateCall {
  readonly bytes: Buffer;
  readonly #stampAt: number;

  constructor(channel: string, userId: string) {
    const request = create(SetStateRequestSchema, {
      channel: { type: ChannelType.MESSAGE, name: channel },
      userId,
      states: { Mic: BLANK_STAMP },
    });
    this.bytes = Buffer.from(toBinary(SetStateRequestSchema, request));
    this.#stampAt = findStamp(this.bytes, 0, this.bytes.length);
  }

  /** The request's bytes, stamped with this moment. Valid until the next call. */
  stamped(): Buffer {
    this.bytes.write(stampOf(nowMicros()), this.#stampAt, "latin1");
    return this.bytes;
  }
}

/** How a stream takes part in its channel. */
export type Part = "reader" | "member" | "hearing member";

/** A SubscribePresenceRequest: readers are invisible, members are present and hear nothing unless they ask to. */
export function subscribeCall(
  channel: string,
  userId: string,
  part: Part,
  states: Record<string, string> = {},
): Buffer {
  const request = create(SubscribePresenceRequestSchema, {
    channel: { type: ChannelType.MESSAGE, name: channel },
    userId,
    quiet: part === "reader",
    withPresence: part !== "member",
    initialStates: states,
  });
  return Buffer.from(toBinary(SubscribePresenceRequestSchema, request));
}

/** A JoinChannelRequest for a lease of 300 s, with a state of about so many bytes. */
export function joinCall(channel: string, userId: string, stateBytes = 0): Buffer {
  const request = create(JoinChannelRequestSchema, {
    channel: { type: ChannelType.MESSAGE, name: channel },
    userId,
    initialStates: stateBytes > 0 ? { state: "x".repeat(stateBytes) } : {},
    ttl: create(DurationSchema, { seconds: 300n }),
  });
  return Buffer.from(toBinary(JoinChannelRequestSchema, request));
}

/** A HeartbeatRequest that lets each of these leases live for so long. */
export function heartbeatCall(sessionIds: string[], ttlMs: number): Buffer {
  const request = create(HeartbeatRequestSchema, { sessionIds, ttl: durationFromMs(ttlMs) });
  return Buffer.from(toBinary(HeartbeatRequestSchema, request));
}

/** A ListOnlineUsersRequest that asks for the number alone. */
export function countCall(channel: string): Buffer {
  const init = { channel: { type: ChannelType.MESSAGE, name: channel }, countOnly: true };
  return Buffer.from(toBinary(ListOnlineUsersRequestSchema, create(ListOnlineUsersRequestSchema, init)));
}
