import { create, toBinary } from "@bufbuild/protobuf";
import { durationFromMs, timestampFromMs } from "@bufbuild/protobuf/wkt";
import {
  OutOfServiceSchema,
  type PresenceEvent,
  PresenceEventSchema,
  SnapshotSchema,
  SubscribedSchema,
} from "../../gen/presence/v1/presence_pb.js";
import { WatchChannelsResponseSchema } from "../../gen/presence/v1/presence_service_pb.js";
import type { FeedCodec } from "../fanout/feed_ports.js";
import type { Piece } from "../fanout/ports.js";

/**
 * Encodes what a feed says of itself: events without a channel, a few in the life of a stream. `events` has the same
 * number in WatchChannelsResponse as in SubscribePresenceResponse, so what happens in a channel is encoded for both.
 */
export const feedCodec: FeedCodec = {
  subscribed: (heartbeatMs, time) => {
    const heartbeatInterval = heartbeatMs > 0 ? durationFromMs(heartbeatMs) : undefined;
    return encode(time, { case: "subscribed", value: create(SubscribedSchema, { heartbeatInterval }) });
  },
  complete: (time) => encode(time, { case: "snapshot", value: create(SnapshotSchema, { last: true }) }),
  lost: (description, time) => {
    return encode(time, { case: "outOfService", value: create(OutOfServiceSchema, { description }) });
  },
};

function encode(time: number, event: PresenceEvent["event"]): Piece {
  const events = [create(PresenceEventSchema, { time: timestampFromMs(time), event })];
  return toBinary(WatchChannelsResponseSchema, create(WatchChannelsResponseSchema, { events }));
}
