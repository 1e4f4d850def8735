import assert from "node:assert/strict";
import { ChannelCredentials } from "@grpc/grpc-js";
import { Feed } from "../../../src/client/feed.js";
import * as api from "../../../src/client/index.js";
import { PresenceChannel } from "../../../src/client/presence_channel.js";
import { PresenceClient } from "../../../src/client/presence_client.js";
import { Subscription } from "../../../src/client/subscription.js";
import { at, FakeService } from "./fake_service.js";

/** Values that plain JavaScript passes by mistake. */
const JUNK: readonly unknown[] = [
  undefined,
  null,
  true,
  Number.NaN,
  Number.POSITIVE_INFINITY,
  -1,
  0,
  1.5,
  7,
  2 ** 53,
  "",
  "abc",
  "lone \ud800",
  10n,
  -1n,
  2n ** 64n,
  Symbol("s"),
  () => "x",
  {},
  { a: undefined },
  { a: null },
  { a: 1 },
  { a: {} },
  { a: "\udc00" },
  { "\udc00": "a" },
  Object.create({ a: "1" }),
  [],
  ["a"],
  [undefined],
  ["\ud800"],
  new Array(1),
  new Set(["a"]),
  new Map([["a", "1"]]),
  new Date(0),
  new AbortController(),
  new (class Mood {
    a = "1";
  })(),
];

/** What an argument may be. */
interface Kind {
  /** Values that are accepted. */
  readonly good: readonly unknown[];
  /** Values that are refused, besides the junk that is not listed in `harmless`. */
  readonly bad?: readonly unknown[];
  /** Tells which junk is accepted. */
  harmless(value: unknown): boolean;
}

const isWellFormed = (value: unknown): boolean => typeof value === "string" && value.isWellFormed();
const isPlain = (value: unknown): value is object => {
  if (typeof value !== "object" || value === null) return false;
  return [Object.prototype, null].includes(Object.getPrototypeOf(value));
};
const isIn = (min: number, max: number) => (value: unknown) =>
  typeof value === "number" && Math.round(value) >= min && Math.round(value) <= max;

const TEXT: Kind = { good: ["abc", "тони 👋"], harmless: isWellFormed };
const FLAG: Kind = { good: [true, false], bad: ["true", 1], harmless: (value) => value === true };
const REVISION: Kind = { good: [0n, 2n ** 64n - 1n], bad: ["7"], harmless: (value) => value === 10n };
const SIGNAL: Kind = { good: [new AbortController().signal], harmless: () => false };
const CALLBACK: Kind = { good: [() => {}], harmless: (value) => typeof value === "function" };
const PAIRS: Kind = {
  good: [
    { a: "1" },
    Object.assign(Object.create(null), { a: "1" }),
    JSON.parse('{"__proto__":"a","constructor":"b","toString":"c"}'),
  ],
  bad: [JSON.parse('{"__proto__":1}')],
  harmless: (value) => isPlain(value) && Object.entries(value).flat().every(isWellFormed),
};
const TEXTS: Kind = {
  good: [["a", "b"]],
  bad: [new Set(), "ab", { 0: "a", length: 1 }],
  harmless: (value) => Array.isArray(value) && Array.from(value).every(isWellFormed),
};
const PAGE_SIZE: Kind = { good: [1, 1000], bad: [1001, "10"], harmless: (value) => value === 7 };
const TTL: Kind = {
  good: [1000, 300_000, 0.07 * 100_000, 10_000 / 3],
  bad: [999, 300_001, "1000", new Date(5000), 5000n],
  harmless: isIn(1000, 300_000),
};
const TIMEOUT: Kind = { good: [0, 300_000, 0.07 * 100_000, 1000 / 3], bad: [300_001, "5"], harmless: isIn(0, 300_000) };
const TYPE: Kind = { good: ["message", "stream"], bad: ["video", "MESSAGE", 1], harmless: () => false };
const RECONNECT: Kind = {
  good: [false, true, {}, { minDelayMs: 1.5, maxDelayMs: 10_000, connectTimeoutMs: Number.POSITIVE_INFINITY }],
  bad: [
    { minDelayMs: 0 },
    { minDelayMs: Number.NaN },
    { minDelayMs: 2 ** 31 },
    { minDelayMs: 10, maxDelayMs: 9 },
    { maxDelayMs: 500 },
    { maxDelayMs: Number.POSITIVE_INFINITY },
    { connectTimeoutMs: -1 },
    { connectTimeoutMs: "1" },
    { maxDelay: 5000 },
  ],
  harmless: (value) => value === true || (isPlain(value) && Object.keys(value).length === 0),
};
const state = { userId: "a", states: {}, revision: 1n };
const RESUME: Kind = {
  good: [
    { position: at(1), members: new Map([["a", state]]) },
    { position: undefined, members: new Map(), ready: 1 },
  ],
  bad: [
    at(1),
    { position: at(1) },
    { position: { epoch: "e", revision: 1 }, members: new Map() },
    { position: null, members: new Map() },
    { position: at(1), members: [["a", state]] },
    { position: at(1), members: new Map([[1, state]]) },
    { position: at(1), members: new Map([["a", { ...state, revision: "1" }]]) },
    { position: at(1), members: new Map([["a", null]]) },
    { position: at(1), members: new Map([["a", { ...state, joinTime: "2026-01-02T12:00:00Z" }]]) },
  ],
  harmless: () => false,
};
const channel = { type: "message", name: "r" };
const badChannels = [undefined, "r", {}, { type: "video", name: "r" }, { name: "r" }, { type: "message" }];
const CHANNELS: Kind = {
  good: [[channel, { ...channel, more: 1 }]],
  bad: [channel, ...badChannels.map((bad) => [channel, bad])],
  harmless: (value) => Array.isArray(value) && value.length === 0,
};
const entriesOf = (good: object, bad: readonly object[]): Kind => ({
  good: [[good, { ...good, channel: { ...channel, more: 1 } }]],
  bad: [
    good,
    ...bad.map((fields) => [good, { ...good, ...fields }]),
    ...badChannels.map((bad) => [{ ...good, channel: bad }]),
  ],
  harmless: (value) => Array.isArray(value) && value.length === 0,
});
const JOINS = entriesOf({ channel, userId: "a", initialStates: { a: "1" }, ttlMs: 1000 / 0.3 }, [
  { userId: null },
  { initialStates: { a: 1 } },
  { ttlMs: Number.NaN },
  { states: {} },
]);
const SETS = entriesOf({ channel, states: { a: "1" }, replace: true, expectedRevision: 0n }, [
  { userId: 1 },
  { states: undefined },
  { states: { a: undefined } },
  { replace: 1 },
  { expectedRevision: 0 },
  { expected: 0n },
]);

/** A kind's values, and undefined. */
type Options = Readonly<Record<string, Kind>>;
/** The arguments of a call: a kind for one that must be given, `[kind]` for one that may be left out. */
type Arguments = Readonly<Record<string, Kind | readonly [Kind]>>;

interface Call {
  readonly arguments: Arguments;
  readonly options: Options;
  /** Whether the options must be given. */
  readonly needsOptions?: boolean;
  /** Rejects instead of throwing. */
  readonly isAsync: boolean;
  /** Options that every use has. */
  readonly always?: object;
}

const call = (given: Arguments, options: Options, isAsync = true): Call => ({ arguments: given, options, isAsync });
const filter = { signal: SIGNAL, userIds: TEXTS, states: PAIRS };

const CLIENT_CALLS: Readonly<Record<string, Call>> = {
  channel: call({ name: TEXT }, { type: TYPE, userId: TEXT }, false),
  channelsOf: call({ userId: [TEXT] }, { signal: SIGNAL, pageSize: PAGE_SIZE }, false),
  watchChannels: call(
    {},
    {
      signal: SIGNAL,
      channels: CHANNELS,
      prefix: TEXT,
      withSnapshot: FLAG,
      reconnect: RECONNECT,
      onStatus: CALLBACK,
    },
    false,
  ),
  heartbeat: call({ sessionIds: TEXTS }, { signal: SIGNAL, ttlMs: TTL }),
  joinMany: call({ entries: JOINS }, { signal: SIGNAL }),
  setStates: call({ entries: SETS }, { signal: SIGNAL }),
};

const CHANNEL_CALLS: Readonly<Record<string, Call>> = {
  setState: call({ states: PAIRS }, { signal: SIGNAL, replace: FLAG, expectedRevision: REVISION }),
  removeState: call({ keys: [TEXTS] }, { signal: SIGNAL }),
  getState: call({ userId: [TEXT] }, { signal: SIGNAL }),
  subscribe: call(
    {},
    {
      signal: SIGNAL,
      withPresence: FLAG,
      quiet: FLAG,
      includeSelf: FLAG,
      initialStates: PAIRS,
      presenceTimeoutMs: TIMEOUT,
      leaveOnCancel: FLAG,
      sessionId: TEXT,
      deviceId: TEXT,
      resumeFrom: RESUME,
      reconnect: RECONNECT,
      onStatus: CALLBACK,
    },
    false,
  ),
  onlineUsers: call({}, { ...filter, includeStates: FLAG, pageSize: PAGE_SIZE }, false),
  count: call({}, filter),
  join: call({}, { signal: SIGNAL, initialStates: PAIRS, ttlMs: TTL, deviceId: TEXT }),
  leave: call({}, { signal: SIGNAL, sessionId: TEXT, all: FLAG }),
};

const CREATE: Call = {
  arguments: {},
  options: {
    address: {
      good: [
        "127.0.0.1:1",
        "localhost",
        "[::1]:65535",
        "https://rollcall.test",
        "dns:///127.0.0.1:1",
        "unix:/run/a b:0",
      ],
      bad: ["127.0.0.1:0", "127.0.0.1:99999", "http://:1", "https://", ":50051", "127.0.0.1:1\n", "a b"],
      harmless: (value) => isWellFormed(value) && value !== "",
    },
    credentials: {
      good: [ChannelCredentials.createInsecure()],
      bad: [{ _isSecure: () => false }],
      harmless: () => false,
    },
    channelOptions: {
      good: [{ "grpc.keepalive_time_ms": 1000, other: "x" }],
      bad: [{ "grpc.keepalive_time_ms": Number.NaN }],
      harmless: isPlain,
    },
    token: {
      good: ["abc", async () => "abc"],
      bad: ["a\nb", "тони"],
      harmless: (value) => typeof value === "function" || (isWellFormed(value) && value !== "lone \ud800"),
    },
    metadata: {
      good: [{ "x-user-id": "tony" }, { Authorization: "Bearer t" }],
      bad: [{ a: "тони" }, { a: "x\r\ny" }, { "a b": "x" }, { "a-bin": "x" }, { "": "x" }],
      harmless: PAIRS.harmless,
    },
    userId: TEXT,
    deviceId: TEXT,
    reconnect: RECONNECT,
  },
  needsOptions: true,
  isAsync: false,
  always: { address: "127.0.0.1:1" },
};

/** Methods without an argument. */
const WITHOUT_ARGUMENTS = ["close"];
/** Methods that an application does not call. */
const INTERNAL = ["isOf", "takeOwnState", "write"];

/** The names of a class's methods, without those that symbols name. */
function methodsOf(type: { readonly prototype: object }): string[] {
  const members = Object.entries(Object.getOwnPropertyDescriptors(type.prototype));
  return members.flatMap(([name, { value }]) => (typeof value === "function" && name !== "constructor" ? name : []));
}

function firstOf(result: unknown): Promise<unknown> {
  return (result as AsyncIterable<unknown>)[Symbol.asyncIterator]().next();
}

describe("arguments of the client", () => {
  let service: FakeService;
  let presence: api.PresenceClient;

  before(async () => {
    service = await FakeService.start();
    presence = api.createPresenceClient({ address: service.address, userId: "tony", reconnect: false });
  });

  after(async () => {
    await presence.close();
    service.stop();
  });

  it("has a case for each public function and method", () => {
    const functions = Object.entries(api).filter(([, value]) => typeof value === "function");
    assert.deepEqual(functions.map(([name]) => name).sort(), ["PresenceError", "createPresenceClient"]);
    assert.deepEqual(methodsOf(PresenceClient).sort(), [...Object.keys(CLIENT_CALLS), ...WITHOUT_ARGUMENTS].sort());
    assert.deepEqual(methodsOf(PresenceChannel).sort(), Object.keys(CHANNEL_CALLS).sort());
    assert.deepEqual(methodsOf(Subscription).sort(), [...WITHOUT_ARGUMENTS, ...INTERNAL].sort());
    assert.deepEqual(methodsOf(Feed).sort(), WITHOUT_ARGUMENTS);
  });

  const invoke = (object: () => object, name: string) => (args: readonly unknown[]) =>
    (object() as Record<string, (...args: readonly unknown[]) => unknown>)[name]!(...args);
  const all: [string, Call, (args: readonly unknown[]) => unknown][] = [
    ["createPresenceClient", CREATE, invoke(() => api, "createPresenceClient")],
    ...Object.entries(CLIENT_CALLS).map(([name, what]): [string, Call, (args: readonly unknown[]) => unknown] => [
      name,
      what,
      invoke(() => presence, name),
    ]),
    ...Object.entries(CHANNEL_CALLS).map(([name, what]): [string, Call, (args: readonly unknown[]) => unknown] => [
      name,
      what,
      invoke(() => presence.channel("chat_room"), name),
    ]),
  ];

  for (const [name, what, run] of all) {
    describe(name, () => {
      const kinds = Object.entries(what.arguments);
      const given = kinds.map(([, kind]) => ("good" in kind ? kind : kind[0]).good[0]);

      /** The TypeError that a call fails with, as it should. */
      async function refusal(args: readonly unknown[], why: string): Promise<TypeError> {
        let result: unknown;
        try {
          result = run(args);
        } catch (error) {
          assert.ok(error instanceof TypeError, `${why}: ${error}`);
          assert.equal(what.isAsync, false, `${why}: thrown by an async function`);
          return error;
        }
        assert.ok(result instanceof Promise, `${why}: accepted`);
        const error = await result.catch((thrown: unknown) => thrown);
        assert.ok(error instanceof TypeError, `${why}: ${error}`);
        return error;
      }

      async function refused(args: readonly unknown[], argument: string, value: unknown): Promise<void> {
        const why = `${argument} = ${typeof value === "symbol" ? "symbol" : Object.prototype.toString.call(value)}`;
        const { message } = await refusal(args, why);
        assert.ok(message.startsWith(`${name}: ${argument}`), `${why}: ${message}`);
        assert.match(message, / must be .+, got |must hold|is not known/, why);
        assert.doesNotMatch(message, /\[object|got undefined.*"undefined"/, why);
      }

      for (const [i, [argument, kind]] of kinds.entries()) {
        const isOptional = !("good" in kind);
        const { bad = [], harmless } = "good" in kind ? kind : kind[0];
        it(`refuses what ${argument} cannot be`, async () => {
          for (const value of [...JUNK, ...bad]) {
            if ((value === undefined && isOptional) || (!bad.includes(value) && harmless(value))) continue;
            await refused(given.with(i, value), argument, value);
          }
        });
      }

      it("refuses what the options cannot be", async () => {
        for (const value of JUNK) {
          if (value === undefined && !what.needsOptions) continue;
          if (isPlain(value) && Object.keys(value).length === 0 && !what.needsOptions) continue;
          await refused([...given, value], "options", value);
        }
      });

      for (const [option, { bad = [], harmless }] of Object.entries(what.options)) {
        it(`refuses what options.${option} cannot be`, async () => {
          for (const value of [...JUNK, ...bad]) {
            if (value === undefined && !(option in (what.always ?? {}))) continue;
            if (!bad.includes(value) && harmless(value)) continue;
            await refused([...given, { ...what.always, [option]: value }], `options.${option}`, value);
          }
        });
      }

      it("names the options that it knows, all of which are tested here", async () => {
        const { message } = await refusal([...given, { ...what.always, presenceTimeout: 1 }], "an unknown option");
        const known = Object.keys(what.options);
        const prefix = `${name}: options.presenceTimeout is not known; allowed are `;
        assert.ok(message.startsWith(prefix), message);
        assert.deepEqual(message.slice(prefix.length).split(", ").sort(), known.sort());
      });

      it("accepts what is allowed", async () => {
        const goods: (readonly unknown[])[] = [given];
        for (const [i, [, kind]] of kinds.entries()) {
          for (const value of ("good" in kind ? kind : kind[0]).good) goods.push(given.with(i, value));
          if (!("good" in kind)) goods.push(given.with(i, undefined));
        }
        for (const [option, { good }] of Object.entries(what.options)) {
          const values = option in (what.always ?? {}) ? good : [...good, undefined];
          for (const value of values) goods.push([...given, { ...what.always, [option]: value }]);
        }
        const closed = api.createPresenceClient({ address: service.address });
        await closed.close();
        const object = name in CLIENT_CALLS ? closed : closed.channel("chat_room");
        for (const args of what.needsOptions ? goods.slice(1) : goods) {
          const result = what === CREATE ? run(args) : invoke(() => object, name)(args);
          // A closed client refuses the call itself, and sends nothing. By default `leave` finds nothing to end.
          const refused = { name: "PresenceError", code: name === "leave" ? /CANCELLED|NOT_FOUND/ : "CANCELLED" };
          if (result instanceof Promise) await assert.rejects(result, refused);
          else if (result instanceof Subscription) await assert.rejects(result.closed, refused);
          else if (result instanceof PresenceClient) await result.close();
          else if (!(result instanceof PresenceChannel)) await assert.rejects(firstOf(result), refused);
        }
      });

      after(() => assert.deepEqual(service.received, []));
    });
  }
});
