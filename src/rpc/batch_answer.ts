import { toBinary } from "@bufbuild/protobuf";
import { type Status, StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { NO_STATES, type UserState } from "../model/user_state.js";
import type { EntryResult } from "../service/batch.js";
import { type EncodedResult, encodeResults, resultSize } from "../wire/write_response.js";
import { toStatus } from "./status.js";

/** The largest answer to a batch that holds states, in bytes: many clients accept no more than 4 MiB. */
const MAX_BYTES_WITH_STATES = 1024 * 1024;

/** The answer to a batch: each entry's response or refusal, without states if those would make it too large. */
export function encodeBatch<T extends { readonly state: UserState }>(
  results: readonly EntryResult<T>[],
  encode: (done: T) => Uint8Array,
): Uint8Array {
  const whole = encodeEach(results, encode, toStatus, MAX_BYTES_WITH_STATES);
  if (whole) return encodeResults(whole, false);
  const withoutStates = (done: T): Uint8Array => encode({ ...done, state: { ...done.state, states: NO_STATES } });
  return encodeResults(encodeEach(results, withoutStates, (error) => toStatus(error, 0), Infinity)!, true);
}

/** `undefined`: they take more bytes. Entries of one user share their answer, and often their refusal: each is encoded once. */
function encodeEach<T>(
  results: readonly EntryResult<T>[],
  encode: (done: T) => Uint8Array,
  statusOf: (error: unknown) => Status,
  maxBytes: number,
): readonly EncodedResult[] | undefined {
  const encoded = new Map<unknown, EncodedResult>();
  const all: EncodedResult[] = [];
  let bytes = 0;
  for (const result of results) {
    const answer = "done" in result ? result.done : result.failed;
    const one = encoded.get(answer) ?? encodeOne(result, encode, statusOf);
    encoded.set(answer, one);
    all.push(one);
    bytes += resultSize(one);
    if (bytes > maxBytes) return undefined;
  }
  return all;
}

function encodeOne<T>(
  result: EntryResult<T>,
  encode: (done: T) => Uint8Array,
  statusOf: (error: unknown) => Status,
): EncodedResult {
  if ("done" in result) return { response: encode(result.done) };
  return { error: toBinary(StatusSchema, statusOf(result.failed)) };
}
