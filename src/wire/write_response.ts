import { WireType } from "@bufbuild/protobuf/wire";
import type { Position } from "../model/position.js";
import type { UserState } from "../model/user_state.js";
import { closeField, makeRoom, putLarge, putText, putTime, scratch } from "./hand_written.js";
import { Scratch } from "./scratch.js";
import { putUserState } from "./user_states.js";
import { varintSize } from "./varint.js";

/** What a write made of a state: the answer to SetState and RemoveState. */
export interface Written {
  /** The whole state after the call. */
  readonly state: UserState;
  /** The user is not present; the state waits for its join (S12). */
  readonly pending: boolean;
  readonly position: Position;
  /** When a pending state is forgotten, ms since 1970; `undefined` if none is left. */
  readonly pendingExpireTime: number | undefined;
}

/** Room for a Timestamp with its tag. */
const TIME_BYTES = 20;

const responses = new Scratch();

/**
 * SetStateResponse and RemoveStateResponse, which are alike, written by hand: the answer to the one call that is made
 * over and over, at a seventh of what making and encoding a message costs.
 */
export function encodeWritten({ state, pending, position, pendingExpireTime }: Written): Uint8Array {
  let end = putState(0, 1, state);
  if (pending) {
    makeRoom(end, 2);
    scratch[end] = 2 << 3;
    scratch[end + 1] = 1;
    end += 2;
  }
  end = putPosition(end, position);
  if (pendingExpireTime !== undefined) {
    makeRoom(end, TIME_BYTES);
    end = putTime(end, 4, pendingExpireTime);
  }
  return copied(end);
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
  makeRoom(0, 8 + 3 * sessionId.length);
  return copied(putPosition(putState(putText(0, 1, sessionId), 2, state), position));
}

function putState(at: number, field: number, state: UserState): number {
  makeRoom(at, 2);
  scratch[at] = (field << 3) | 2;
  return closeField(at + 1, putUserState(at + 2, state));
}

function putPosition(at: number, { epoch, revision }: Position): number {
  makeRoom(at, 32 + 3 * epoch.length);
  scratch[at] = (3 << 3) | 2;
  let next = epoch === "" ? at + 2 : putText(at + 2, 1, epoch);
  if (revision !== 0) {
    scratch[next] = 2 << 3;
    next = putLarge(next + 1, revision);
  }
  return closeField(at + 1, next);
}

function copied(length: number): Uint8Array {
  // From Node's pool: whoever gets it copies it at once.
  const bytes = Buffer.allocUnsafe(length);
  bytes.set(scratch.subarray(0, length));
  return bytes;
}

/** What became of one entry of a batch, encoded: its response, or the `google.rpc.Status` of its refusal. */
export type EncodedResult = { readonly response: Uint8Array } | { readonly error: Uint8Array };

/** How many bytes of an answer a result takes. */
export function resultSize(result: EncodedResult): number {
  return fieldSize(fieldSize("response" in result ? result.response.length : result.error.length));
}

/** BatchJoinChannelResponse and BatchSetStateResponse, which are alike. */
export function encodeResults(results: readonly EncodedResult[], statesOmitted: boolean): Uint8Array {
  return responses.encode((writer) => {
    for (const result of results) {
      writer.tag(1, WireType.LengthDelimited).fork();
      if ("response" in result) writer.tag(1, WireType.LengthDelimited).bytes(result.response);
      else writer.tag(2, WireType.LengthDelimited).bytes(result.error);
      writer.join();
    }
    if (statesOmitted) writer.tag(2, WireType.Varint).bool(true);
  });
}

/** The size of a length-delimited field with a number below 16 and a value of `length` bytes. */
function fieldSize(length: number): number {
  return 1 + varintSize(length) + length;
}
