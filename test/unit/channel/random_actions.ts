import fc from "fast-check";
import type { Elsewhere } from "../../../src/channel/apply.js";
import type { States } from "../../../src/model/user_state.js";

/** Something that happens, with sessions and revisions told relatively, so that most of it makes sense. */
export type Action =
  | {
      readonly kind: "stream";
      readonly quiet: boolean;
      readonly timeoutMs: number;
      readonly resume: SessionChoice;
      readonly deviceId: string;
    }
  | { readonly kind: "lease"; readonly ttlMs: number; readonly deviceId: string }
  | { readonly kind: "detach"; readonly session: SessionChoice; readonly stale: boolean; readonly agoMs: number }
  | { readonly kind: "leave"; readonly session: SessionChoice; readonly attachment: "any" | "current" | "stale" }
  | { readonly kind: "renew"; readonly session: SessionChoice; readonly ttlMs: number | undefined }
  | { readonly kind: "set"; readonly replace: boolean; readonly expected: Expected }
  | { readonly kind: "remove"; readonly keys: readonly string[] }
  | { readonly kind: "batch"; readonly entries: readonly { readonly action: EntryAction; readonly states: States }[] }
  | { readonly kind: "elsewhere"; readonly elsewhere: Elsewhere }
  | { readonly kind: "pass"; readonly ms: number; readonly timersFire: boolean };

/** What a set expects: nothing, the revision of the state as it is, 0, that of an earlier state, or one of no state. */
export type Expected = "any" | "current" | "zero" | "past" | "wrong";

/** An entry of a batch. */
export type EntryAction = Extract<Action, { kind: "stream" | "lease" | "set" }>;

/** One of the sessions that the user ever had, counted from the latest; or none. */
export type SessionChoice = number | "none";

/** An action of one user; `states` are those of a set, or of a join. */
export interface Happening {
  readonly userId: string;
  readonly action: Action;
  readonly states: States;
}

const sessionChoice = fc.oneof(
  { weight: 5, arbitrary: fc.nat(3) },
  { weight: 1, arbitrary: fc.constant("none" as const) },
);
const durations = fc.constantFrom(0, 1, 1000, 5000);
const ttls = fc.constantFrom(1000, 5000, 300_000);
const deviceId = fc.constantFrom("", "phone", "desktop");
const key = fc.constantFrom("a", "b", "c", "toString", "__proto__");

const states = fc.dictionary(key, fc.constantFrom("", "1", "2"), { maxKeys: 3, noNullPrototype: true });
const join: fc.Arbitrary<EntryAction> = fc.record({
  kind: fc.constant("stream" as const),
  quiet: fc.boolean().map((quiet) => quiet),
  timeoutMs: durations,
  resume: sessionChoice,
  deviceId,
});
const lease: fc.Arbitrary<EntryAction> = fc.record({ kind: fc.constant("lease" as const), ttlMs: ttls, deviceId });
const set: fc.Arbitrary<EntryAction> = fc.record({
  kind: fc.constant("set" as const),
  replace: fc.boolean(),
  expected: fc.constantFrom<Expected>("any", "any", "any", "current", "current", "zero", "past", "wrong"),
});
const entry = fc.record({
  action: fc.oneof({ weight: 1, arbitrary: join }, { weight: 1, arbitrary: lease }, { weight: 3, arbitrary: set }),
  states,
});

const action: fc.Arbitrary<Action> = fc.oneof(
  { weight: 5, arbitrary: join },
  { weight: 2, arbitrary: lease },
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("detach" as const),
      session: sessionChoice,
      stale: fc.boolean(),
      agoMs: fc.constantFrom(0, 50),
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({
      kind: fc.constant("leave" as const),
      session: sessionChoice,
      attachment: fc.constantFrom("any" as const, "current" as const, "stale" as const),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("renew" as const),
      session: sessionChoice,
      ttlMs: fc.option(ttls, { nil: undefined }),
    }),
  },
  { weight: 4, arbitrary: set },
  {
    weight: 2,
    arbitrary: fc.record({ kind: fc.constant("remove" as const), keys: fc.array(key, { maxLength: 2 }) }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("batch" as const),
      entries: fc.array(entry, { minLength: 1, maxLength: 5 }),
    }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("elsewhere" as const),
      elsewhere: fc.constantFrom(
        { channels: 0, attachedChannels: 0, pendingPairs: 0 },
        { channels: 3, attachedChannels: 1, pendingPairs: 0 },
        { channels: 3, attachedChannels: 2, pendingPairs: 0 },
        { channels: 4, attachedChannels: 1, pendingPairs: 0 },
      ),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      kind: fc.constant("pass" as const),
      ms: fc.constantFrom(0, 1, 999, 1000, 4000, 300_000),
      timersFire: fc.boolean(),
    }),
  },
);

/** Things that happen to three users, in order. */
export const happenings: fc.Arbitrary<Happening[]> = fc.array(
  fc.record({
    userId: fc.constantFrom("ann", "bob", "__proto__"),
    action,
    states,
  }),
  { maxLength: 60, size: "max" },
);
