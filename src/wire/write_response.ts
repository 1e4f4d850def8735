import { type BinaryWriter, WireType } from "@bufbuild/protobuf/wire";
import type { Position } from "../model/position.js";
import type { UserState } from "../model/user_state.js";
import { Scratch } from "./scratch.js";
import { encodeUserState } from "./user_states.js";

/** What a write made of a state: the answer to SetState and RemoveState. */
export interface Written {
  /** The whole state after the call. */
  readonly state: UserState;
  /** The user is not present; the state waits for its join (S12). */
  readonly pending: boolean;
  readonly position: Position;
}

const scratch = new Scratch();

/**
 * SetStateResponse and RemoveStateResponse, which are alike, written by hand: the answer to the one call that is made
 * over and over, at a third of what making and encoding a message costs.
 */
export function encodeWritten({ state, pending, position }: Written): Uint8Array {
  const stateBytes = encodeUserState(state);
  return scratch.encode((writer) => {
    writer.tag(1, WireType.LengthDelimited).bytes(stateBytes);
    if (pending) writer.tag(2, WireType.Varint).bool(true);
    writer.tag(3, WireType.LengthDelimited).fork();
    writePosition(writer, position);
    writer.join();
  });
}

function writePosition(writer: BinaryWriter, { epoch, revision }: Position): void {
  if (epoch !== "") writer.tag(1, WireType.LengthDelimited).string(epoch);
  if (revision !== 0) writer.tag(2, WireType.Varint).uint64(revision);
}

/** A lease that was made: the answer to JoinChannel. */
export interface Joined {
  readonly sessionId: string;
  /** The whole state after the join. */
  readonly state: UserState;
  readonly position: Position;
}

/** JoinChannelResponse, by hand as well: a batch has a thousand of them. */
export function encodeJoined({ sessionId, state, position }: Joined): Uint8Array {
  const stateBytes = encodeUserState(state);
  return scratch.encode((writer) => {
    writer.tag(1, WireType.LengthDelimited).string(sessionId);
    writer.tag(2, WireType.LengthDelimited).bytes(stateBytes);
    writer.tag(3, WireType.LengthDelimited).fork();
    writePosition(writer, position);
    writer.join();
  });
}

/** What became of one entry of a batch, encoded: its response, or the `google.rpc.Status` of its refusal. */
export type EncodedResult = { readonly response: Uint8Array } | { readonly error: Uint8Array };

/** BatchJoinChannelResponse and BatchSetStateResponse, which are alike. */
export function encodeResults(results: readonly EncodedResult[]): Uint8Array {
  return scratch.encode((writer) => {
    for (const result of results) {
      writer.tag(1, WireType.LengthDelimited).fork();
      if ("response" in result) writer.tag(1, WireType.LengthDelimited).bytes(result.response);
      else writer.tag(2, WireType.LengthDelimited).bytes(result.error);
      writer.join();
    }
  });
}
