import { durationFromMs } from "@bufbuild/protobuf/wkt";
import type { Status } from "../../gen/google/rpc/status_pb.js";
import type { Connection } from "./connection.js";
import { channelMessageOf, leaseOf, stateResultOf } from "./from_wire.js";
import { withJson } from "./json.js";
import { type PresenceError, presenceErrorOfStatus } from "./presence_error.js";
import type { ChannelId, Lease, StateResult, UserState } from "./types.js";

/** One user to bring into one channel, by a lease (S17). */
export interface JoinEntry {
  readonly channel: ChannelId;
  /** Who joins. Default: the client's user. */
  readonly userId?: string;
  /** State to set with the join, merged over what is pending (S12). */
  readonly initialStates?: Readonly<Record<string, string>>;
  /** How long the lease lives without a heartbeat, in milliseconds: 1000 to 300 000. Default: 30 000. */
  readonly ttlMs?: number;
}

/** One user's state in one channel to change (S9). */
export interface SetStateEntry {
  readonly channel: ChannelId;
  /** Whose state. Default: the client's user's. */
  readonly userId?: string;
  readonly states: Readonly<Record<string, string>>;
  /** The given map becomes the whole state, instead of being merged into it. Default: false. */
  readonly replace?: boolean;
  /**
   * Change only if the state's revision is this one, else `STATE_REVISION_MISMATCH` (S14). `0n`: nothing was set since the
   * join or, before it, nothing is pending.
   */
  readonly expectedRevision?: bigint;
}

/** What became of one entry of a batch: its value, or the error that the single call would have thrown. */
export type BatchResult<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: PresenceError };

/** The answer to an entry of a batch: that of the single call, but its state may come without `states`. */
export type BatchAnswer<T extends { readonly state: UserState }> = Omit<T, "state"> & {
  readonly state: Omit<UserState, "states"> & {
    /**
     * The whole state after the batch. `undefined` in each answer if all states together would exceed 1 MiB: ask for
     * those that are needed with `getState`.
     */
    readonly states: UserState["states"] | undefined;
  };
};

/** Joins for many users in one call; the results are in the order of the entries. */
export async function joinMany(
  rpc: Connection["rpc"],
  self: string,
  entries: readonly JoinEntry[],
  signal: AbortSignal | undefined,
): Promise<BatchResult<BatchAnswer<Lease>>[]> {
  const requests = entries.map(({ channel, userId = self, initialStates, ttlMs }) => {
    const ttl = ttlMs === undefined ? undefined : durationFromMs(ttlMs);
    return { channel: channelMessageOf(channel), userId, initialStates, ttl };
  });
  const { results, statesOmitted } = await rpc.batchJoinChannel({ requests }, { signal });
  return results.map(({ result }) => resultOf(result, leaseOf, statesOmitted));
}

/** Changes the states of many users in one call; the results are in the order of the entries. */
export async function setStates(
  rpc: Connection["rpc"],
  self: string,
  entries: readonly SetStateEntry[],
  signal: AbortSignal | undefined,
): Promise<BatchResult<BatchAnswer<StateResult>>[]> {
  const requests = entries.map(({ channel, userId = self, states, replace, expectedRevision }) => {
    return { channel: channelMessageOf(channel), userId, states, replace, expectedRevision };
  });
  const { results, statesOmitted } = await rpc.batchSetState({ requests }, { signal });
  return results.map(({ result }) => resultOf(result, stateResultOf, statesOmitted));
}

type Answer<Response> =
  | { readonly case: "response"; readonly value: Response }
  | { readonly case: "error"; readonly value: Status }
  | { readonly case: undefined; readonly value?: undefined };

/** An answer that is newer than this client knows counts as a failure that nobody can explain. */
function resultOf<Response, T extends { readonly state: UserState }>(
  answer: Answer<Response>,
  read: (response: Response) => T,
  statesOmitted: boolean,
): BatchResult<BatchAnswer<T>> {
  if (answer.case !== "response") return { ok: false, error: presenceErrorOfStatus(answer.value) };
  const value = read(answer.value);
  if (!statesOmitted) return { ok: true, value };
  return { ok: true, value: { ...value, state: withJson({ ...value.state, states: undefined }) } };
}
