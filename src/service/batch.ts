import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import type { Join, SetStates } from "../channel/command.js";
import { stateOf } from "../channel/member.js";
import type { Overtaken } from "../channel/outcome.js";
import { overtakenInBatch } from "../channel/refusals.js";
import type { ChannelId } from "../model/channel_id.js";
import { PresenceError } from "../model/errors.js";
import { checkRequest } from "../wire/decode.js";
import { type Members, memberKey, type Result } from "./members.js";

/** What became of one entry of a batch. */
export type EntryResult<T> = { readonly done: T } | { readonly failed: unknown };

/** What a request asks for: a command for one user in one channel. */
export interface UserCommand<C extends SetStates | Join> {
  readonly channel: ChannelId;
  readonly userId: string;
  readonly command: C;
}

/** The entries of a batch for one user in one channel, in their order. */
interface Group<C extends SetStates | Join> {
  readonly channel: ChannelId;
  readonly userId: string;
  readonly commands: C[];
  /** Where each of them stands in the batch. */
  readonly indexes: number[];
}

/** How the commands of one kind of batch are carried out and answered. */
interface Answering<C extends SetStates | Join, T> {
  readonly members: Members;
  /** The answers to the entries of one user in one channel that were carried out. */
  readonly answersOf: (result: Result) => (command: C) => T;
}

/** How one kind of batch is carried out. */
export interface BatchKind<Desc extends DescMessage, C extends SetStates | Join, T> extends Answering<C, T> {
  /** The proto of an entry. */
  readonly schema: Desc;
  /** What a valid entry asks for; throws a PresenceError if the caller may not. */
  readonly commandOf: (entry: MessageShape<Desc>) => UserCommand<C>;
}

/**
 * Carries the entries of a batch out. Those for one user in one channel are one change, in their order; the changes of
 * several users follow in the order of their first entries, and in the same turn of the event loop where the engine
 * answers at once, so that subscribers receive them together. An entry that breaks a constraint of its proto or that is
 * refused has that for its result and does not touch the others. What fails inside fails all entries of its user.
 */
export async function runBatch<Desc extends DescMessage, C extends SetStates | Join, T>(
  kind: BatchKind<Desc, C, T>,
  entries: readonly MessageShape<Desc>[],
): Promise<readonly EntryResult<T>[]> {
  const results: EntryResult<T>[] = new Array(entries.length);
  const groups = new Map<string, Group<C>>();
  entries.forEach((entry, index) => {
    try {
      checkRequest(kind.schema, entry);
      const { channel, userId, command } = kind.commandOf(entry);
      const key = memberKey(channel, userId);
      const group = groups.get(key) ?? { channel, userId, commands: [], indexes: [] };
      group.commands.push(command);
      group.indexes.push(index);
      groups.set(key, group);
    } catch (failed) {
      results[index] = { failed };
    }
  });
  const underWay: Promise<void>[] = [];
  for (const group of groups.values()) {
    const running = carryOut(kind, group, results);
    if (running) underWay.push(running);
  }
  if (underWay.length > 0) await Promise.all(underWay);
  return results;
}

/** Fills in the results of a group: at once where the engine answers at once. Never throws or rejects. */
function carryOut<C extends SetStates | Join, T>(
  kind: Answering<C, T>,
  group: Group<C>,
  results: EntryResult<T>[],
): Promise<void> | undefined {
  try {
    const starting = kind.members.start(group.channel, group.userId, { kind: "batch", entries: group.commands });
    if (starting instanceof Promise) {
      return starting
        .then((result) => finish(kind, group, results, result))
        .catch((error) => fail(group, results, error));
    }
    finish(kind, group, results, starting);
  } catch (error) {
    fail(group, results, error);
  }
  return undefined;
}

function finish<C extends SetStates | Join, T>(
  { answersOf }: Answering<C, T>,
  { commands, indexes }: Group<C>,
  results: EntryResult<T>[],
  result: Result,
): void {
  const answerTo = answersOf(result);
  const { entries } = result.outcome;
  for (let i = 0; i < entries.length; i++) {
    const outcome = entries[i]!;
    results[indexes[i]!] =
      outcome === "done" ? { done: answerTo(commands[i]!) } : { failed: refusalOf(outcome, result) };
  }
}

function fail<T>({ indexes }: Pick<Group<Join>, "indexes">, results: EntryResult<T>[], failed: unknown): void {
  for (const index of indexes) results[index] = { failed };
}

function refusalOf(outcome: PresenceError | Overtaken, { member }: Result): PresenceError {
  return outcome instanceof PresenceError ? outcome : overtakenInBatch(outcome.expectedRevision, stateOf(member));
}
