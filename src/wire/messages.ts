import { create } from "@bufbuild/protobuf";
import { type Duration, DurationSchema, timestampFromMs } from "@bufbuild/protobuf/wkt";
import * as pb from "../../gen/presence/v1/presence_pb.js";
import type { ChannelId, ChannelType } from "../model/channel_id.js";
import type { Position } from "../model/position.js";
import type { UserState } from "../model/user_state.js";

/** The channel of a request that has been validated, in a namespace: the caller's (S20). */
export function toChannelId(channel: pb.Channel, app: string): ChannelId {
  const type = channel.type as number as ChannelType;
  return app === "" ? { type, name: channel.name } : { type, name: channel.name, app };
}

/** A channel as the contract has it; its namespace is the server's own business. */
export function fromChannelId(channel: ChannelId): pb.Channel {
  return create(pb.ChannelSchema, { type: channel.type as number as pb.ChannelType, name: channel.name });
}

/** A position as the contract has it. */
export function fromPosition(position: Position): pb.Position {
  return create(pb.PositionSchema, { epoch: position.epoch, revision: BigInt(position.revision) });
}

/** A position that a client sent; a revision beyond what this server can have counted to is one from the future. */
export function toPosition(position: pb.Position): Position {
  return { epoch: position.epoch, revision: toRevision(position.revision) };
}

/** A revision as a number; beyond 2^53 it is infinite, which no channel's is. */
export function toRevision(revision: bigint): number {
  return revision <= BigInt(Number.MAX_SAFE_INTEGER) ? Number(revision) : Number.POSITIVE_INFINITY;
}

/** A state as the contract has it. */
export function fromUserState(state: UserState): pb.UserState {
  return create(pb.UserStateSchema, {
    userId: state.userId,
    states: { ...state.states },
    revision: BigInt(state.revision),
    updateTime: state.updateTime === undefined ? undefined : timestampFromMs(state.updateTime),
    joinTime: state.joinTime === undefined ? undefined : timestampFromMs(state.joinTime),
  });
}

/** A duration in milliseconds, rounded up so that "a little" does not become "none". */
export function toMs(duration: Duration): number {
  return Math.ceil(Number(duration.seconds) * 1000 + duration.nanos / 1e6);
}

/** A duration as the contract has it, of whole milliseconds. */
export function fromMs(ms: number): Duration {
  const seconds = Math.floor(ms / 1000);
  return create(DurationSchema, { seconds: BigInt(seconds), nanos: (ms - seconds * 1000) * 1e6 });
}
