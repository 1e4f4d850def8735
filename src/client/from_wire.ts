import { timestampDate } from "@bufbuild/protobuf/wkt";
import type {
  Channel as ChannelMessage,
  Position as PositionMessage,
  UserState as UserStateMessage,
} from "../../gen/presence/v1/presence_pb.js";
import { ChannelType as ChannelTypeNumber } from "../../gen/presence/v1/presence_pb.js";
import type {
  JoinChannelResponse,
  RemoveStateResponse,
  SetStateResponse,
} from "../../gen/presence/v1/presence_service_pb.js";
import { withJson } from "./json.js";
import type { ChannelId, Lease, Position, StateResult, UserState } from "./types.js";

/** The public form of a state; a message that is missing reads as one with nothing in it, as protobuf has it. */
export function userStateOf(message: UserStateMessage | undefined): UserState {
  return withJson({
    userId: message?.userId ?? "",
    states: message?.states ?? {},
    revision: message?.revision ?? 0n,
    ...(message?.updateTime && { updateTime: timestampDate(message.updateTime) }),
    ...(message?.joinTime && { joinTime: timestampDate(message.joinTime) }),
    ...(message?.detached && { detached: true as const }),
  });
}

/** The public form of the answer to a change of a state. */
export function stateResultOf(response: SetStateResponse | RemoveStateResponse): StateResult {
  const { state, pending, position, pendingExpireTime } = response;
  return {
    state: userStateOf(state),
    pending,
    position: positionOf(position),
    ...(pendingExpireTime && { pendingExpireTime: timestampDate(pendingExpireTime) }),
  };
}

/** The public form of the answer to a join by a lease. */
export function leaseOf({ sessionId, state, position }: JoinChannelResponse): Lease {
  return { sessionId, state: userStateOf(state), position: positionOf(position) };
}

/** The public form of a position; a missing one is the start of a history without a name. */
export function positionOf(message: PositionMessage | undefined): Position {
  return withJson({ epoch: message?.epoch ?? "", revision: message?.revision ?? 0n });
}

/** The public form of a channel's name. */
export function channelIdOf(message: ChannelMessage | undefined): ChannelId {
  return {
    type: message?.type === ChannelTypeNumber.STREAM ? "stream" : "message",
    name: message?.name ?? "",
  };
}

/** The channel as a request names it. */
export function channelMessageOf(channel: ChannelId): { type: ChannelTypeNumber; name: string } {
  return {
    type: channel.type === "stream" ? ChannelTypeNumber.STREAM : ChannelTypeNumber.MESSAGE,
    name: channel.name,
  };
}
