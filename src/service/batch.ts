import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { MaybePromise } from "../engine/engine.js";
import { checkRequest } from "../wire/decode.js";
import { allOf } from "./at_once.js";

/** What became of one entry of a batch. */
export type EntryResult<T> = { readonly done: T } | { readonly failed: unknown };

/**
 * Carries the entries of a batch out, each by itself: begun in their order, and in the same turn of the event loop where
 * the engine answers at once, so that readers hear of all of them together. An entry that breaks a constraint of its
 * proto, or that is refused, or that fails, has that for its result; the others are not touched by it.
 */
export function runBatch<Desc extends DescMessage, T>(
  schema: Desc,
  entries: readonly MessageShape<Desc>[],
  run: (entry: MessageShape<Desc>) => MaybePromise<T>,
): MaybePromise<readonly EntryResult<T>[]> {
  return allOf(
    entries.map((entry): MaybePromise<EntryResult<T>> => {
      try {
        checkRequest(schema, entry);
        const running = run(entry);
        return running instanceof Promise ? running.then((done) => ({ done }), asFailed) : { done: running };
      } catch (error) {
        return asFailed(error);
      }
    }),
  );
}

function asFailed(error: unknown): { readonly failed: unknown } {
  return { failed: error };
}
