import type { SnapshotUser, StateBytes } from "../fanout/ports.js";
import type { UserState } from "../model/user_state.js";
import { closeField, makeRoom, putLarge, putText, putTime, scratch } from "./hand_written.js";
import { putVarint } from "./varint.js";

/** `users` of a snapshot, with its tag. */
const USERS_TAG = (1 << 3) | 2;

/** The body of a `UserState` message. */
export function encodeUserState(state: UserState): StateBytes {
  const end = putUserState(0, state);
  return scratch.slice(0, end);
}

/**
 * `repeated UserState users` of a snapshot: users side by side, each with its tag and its length, in parts of at most
 * `maxBytes`, or of one user.
 */
export function encodeUsers(users: readonly SnapshotUser[], maxBytes: number): readonly Uint8Array[] {
  const parts: Uint8Array[] = [];
  let end = 0;
  for (const user of users) {
    const next = putUser(end, user);
    if (next <= maxBytes || end === 0) {
      end = next;
      continue;
    }
    parts.push(copied(end));
    scratch.copyWithin(0, end, next);
    end = next - end;
  }
  if (end > 0) parts.push(copied(end));
  return parts;
}

function copied(length: number): Uint8Array {
  // Not from Node's pool: what waits for a slow reader would hold on to a whole slab of it.
  const part = Buffer.allocUnsafeSlow(length);
  part.set(scratch.subarray(0, length));
  return part;
}

function putUser(at: number, { state, bytes }: SnapshotUser): number {
  if (!bytes) {
    makeRoom(at, 16);
    scratch[at] = USERS_TAG;
    return closeField(at + 1, putUserState(at + 2, state));
  }
  makeRoom(at, bytes.length + 16);
  scratch[at] = USERS_TAG;
  const body = putVarint(scratch, at + 1, bytes.length);
  scratch.set(bytes, body);
  return body + bytes.length;
}

/** The body of a `UserState` message, at a place; gives where the next byte goes. */
export function putUserState(at: number, { userId, states, revision, updateTime, joinTime }: UserState): number {
  const keys = Object.keys(states);
  let room = 128 + 3 * userId.length;
  for (const key of keys) room += 32 + 3 * (key.length + states[key]!.length);
  makeRoom(at, room);
  let next = userId === "" ? at : putText(at, 1, userId);
  for (const key of keys) {
    scratch[next] = (2 << 3) | 2;
    next = closeField(next + 1, putText(putText(next + 2, 1, key), 2, states[key]!));
  }
  if (revision !== 0) {
    scratch[next] = 3 << 3;
    next = putLarge(next + 1, revision);
  }
  if (updateTime !== undefined) next = putTime(next, 4, updateTime);
  if (joinTime !== undefined) next = putTime(next, 5, joinTime);
  return next;
}
