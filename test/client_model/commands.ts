import fc from "fast-check";

/** Names of the users; each has `DEVICES` devices, and each device a client of its own. */
export const USERS = ["ann", "bob", "cat"] as const;
export const DEVICES = ["phone", "desktop"] as const;
export const CHANNELS = [
  { type: "message", name: "room" },
  { type: "stream", name: "hall" },
] as const;
export const KEYS = ["a", "b", "c"] as const;

/** How the events of a subscription are iterated. */
export type Pace =
  /** Not at all. */
  | "never"
  /** As fast as they come. */
  | "fast"
  /** One event each time a command says so. */
  | "slow"
  /** Not before the first time a command says so, then as fast as they come. */
  | "late";

/** What a call expects of the revision of the state. */
export type Expected = "right" | "stale" | "zero" | undefined;

/** Something that a device, the network or the server does. Numbers choose among what there is. */
export type Command =
  | {
      readonly kind: "set";
      readonly channel: number;
      readonly keys: readonly string[];
      readonly replace: boolean;
      readonly expected: Expected;
      readonly abort: boolean;
    }
  | { readonly kind: "remove"; readonly channel: number; readonly keys: readonly string[] }
  | { readonly kind: "batch"; readonly entries: readonly { readonly channel: number; readonly keys: string[] }[] }
  | ({ readonly kind: "subscribe" } & Subscribing)
  /** Subscribes and ends that subscription in the same tick. */
  | ({ readonly kind: "glimpse"; readonly by: "close" | "abort" | "aborted" } & Subscribing)
  | { readonly kind: "end"; readonly which: number; readonly by: "close" | "abort" | "return" }
  | { readonly kind: "leave"; readonly channel: number; readonly which: number; readonly scope: "session" | "default" }
  | { readonly kind: "join"; readonly channel: number; readonly keys: readonly string[] }
  | { readonly kind: "heartbeat" }
  | { readonly kind: "leaveLease"; readonly which: number }
  | { readonly kind: "watch"; readonly isSlow: boolean }
  | { readonly kind: "unwatch"; readonly which: number; readonly by: "close" | "abort" | "return" }
  /** Watches and ends that feed in the same tick. */
  | { readonly kind: "glance"; readonly by: "close" | "abort" | "return" }
  | { readonly kind: "read"; readonly channel: number; readonly what: "state" | "users" | "count" | "channels" }
  /** Closes the device's client, and makes another. */
  | { readonly kind: "reopen" }
  | { readonly kind: "network"; readonly fault: Fault }
  /** Lets the server's time pass for longer than any presence timeout and lease. */
  | { readonly kind: "skip" }
  | { readonly kind: "restart"; readonly drain: boolean }
  /** Lets each slow iteration take an event, and late ones begin. */
  | { readonly kind: "step" }
  /** Waits for calls in flight on devices whose network is well. */
  | { readonly kind: "settle" };

export type Fault = "cut" | "refuse" | "stall" | "vanish" | "flow";

export interface Subscribing {
  readonly channel: number;
  readonly quiet: boolean;
  readonly withPresence: boolean;
  readonly includeSelf: boolean;
  readonly pace: Pace;
  readonly keys: readonly string[];
}

/** A command of one device, and how long to wait before the next command. */
export interface Step {
  readonly user: number;
  readonly device: number;
  readonly command: Command;
  /** `none`: the next command follows in the same tick. */
  readonly wait: "none" | "turn" | "pause";
}

const often = <T>(weight: number, arbitrary: fc.Arbitrary<T>) => ({ weight, arbitrary });
const oneKind = <Kind extends string>(kind: Kind) => fc.constant(kind);
const channel = fc.nat(CHANNELS.length - 1);
const which = fc.nat(7);
const keys = fc.uniqueArray(fc.constantFrom(...KEYS), { minLength: 1, maxLength: 2 });
const fewKeys = fc.uniqueArray(fc.constantFrom<string>(...KEYS), { maxLength: 2 });
const ending = fc.constantFrom("close" as const, "close" as const, "abort" as const, "return" as const);
const rarely = (times: number) => fc.nat(times - 1).map((drawn) => drawn === 0);

const subscribing: fc.Arbitrary<Subscribing> = fc.record({
  channel,
  quiet: rarely(5),
  withPresence: rarely(6).map((without) => !without),
  includeSelf: rarely(4),
  pace: fc.constantFrom<Pace>("never", "never", "fast", "fast", "slow", "late"),
  keys: fc.oneof(fc.constant([]), fewKeys),
});

const command: fc.Arbitrary<Command> = fc.oneof(
  often(
    10,
    fc.record({
      kind: oneKind("set"),
      channel,
      keys,
      replace: rarely(4),
      expected: fc.constantFrom<Expected>(undefined, undefined, undefined, undefined, "right", "stale", "zero"),
      abort: rarely(12),
    }),
  ),
  often(3, fc.record({ kind: oneKind("remove"), channel, keys: fewKeys })),
  often(
    2,
    fc.record({
      kind: oneKind("batch"),
      entries: fc.array(fc.record({ channel, keys }), { minLength: 1, maxLength: 3 }),
    }),
  ),
  often(
    9,
    subscribing.map((how) => ({ kind: "subscribe" as const, ...how })),
  ),
  often(
    2,
    fc
      .tuple(subscribing, fc.constantFrom("close" as const, "abort" as const, "aborted" as const))
      .map(([how, by]) => ({ kind: "glimpse" as const, by, ...how })),
  ),
  often(
    3,
    fc.record({
      kind: oneKind("end"),
      which,
      by: ending,
    }),
  ),
  often(
    1,
    fc.record({
      kind: oneKind("leave"),
      channel,
      which,
      scope: fc.constantFrom("session" as const, "default" as const),
    }),
  ),
  often(1, fc.record({ kind: oneKind("join"), channel, keys: fewKeys })),
  often(1, fc.record({ kind: oneKind("heartbeat") })),
  often(1, fc.record({ kind: oneKind("leaveLease"), which })),
  often(
    2,
    fc.record({
      kind: oneKind("read"),
      channel,
      what: fc.constantFrom("state" as const, "users" as const, "count" as const, "channels" as const),
    }),
  ),
  often(3, fc.record({ kind: oneKind("watch"), isSlow: rarely(3) })),
  often(1, fc.record({ kind: oneKind("unwatch"), which, by: ending })),
  often(1, fc.record({ kind: oneKind("glance"), by: ending })),
  often(1, fc.record({ kind: oneKind("reopen") })),
  often(
    8,
    fc.record({
      kind: oneKind("network"),
      fault: fc.constantFrom<Fault>("cut", "cut", "refuse", "stall", "vanish", "flow", "flow"),
    }),
  ),
  often(2, fc.record({ kind: oneKind("skip") })),
  often(2, fc.record({ kind: oneKind("restart"), drain: rarely(8) })),
  often(5, fc.record({ kind: oneKind("step") })),
  often(4, fc.record({ kind: oneKind("settle") })),
);

const step: fc.Arbitrary<Step> = fc.record({
  user: fc.nat(USERS.length - 1),
  device: fc.nat(DEVICES.length - 1),
  command,
  wait: fc.constantFrom("none" as const, "turn" as const, "turn" as const, "pause" as const),
});

/** Settings of the server for a round. */
export interface RoundSettings {
  /** Users up to which a channel announces each event. */
  readonly announceMax: number;
  /** Changes kept for streams that resume; without them each return gets a snapshot. */
  readonly resumeEvents: number;
  readonly leaveOnCancel: boolean;
}

/** A round: how its server is set, and what happens, in parts that each end at rest. */
export interface Plan {
  readonly settings: RoundSettings;
  readonly parts: readonly (readonly Step[])[];
}

const plan: fc.Arbitrary<Plan> = fc.record({
  settings: fc.record({
    announceMax: fc.constantFrom(500, 500, 500, 1),
    resumeEvents: fc.constantFrom(1000, 1000, 3, 0),
    leaveOnCancel: rarely(4).map((off) => !off),
  }),
  parts: fc.array(fc.array(step, { minLength: 5, maxLength: 40, size: "max" }), {
    minLength: 3,
    maxLength: 3,
    size: "max",
  }),
});

/** The plan that a seed stands for. */
export function planOf(seed: number): Plan {
  return fc.sample(plan, { seed, numRuns: 1 })[0]!;
}
