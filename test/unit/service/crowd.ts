import assert from "node:assert/strict";
import fc from "fast-check";
import { PresenceError } from "../../../src/model/errors.js";
import type { StreamEnd, Subscription } from "../../../src/service/subscriber.js";
import { checkGuarantees } from "../../guarantees/check.js";
import { createHistory, type History } from "../../guarantees/history.js";
import { recordBegin, recordEnd, recordEvents } from "../../guarantees/record.js";
import { changesHeardBy } from "../../guarantees/truth.js";
import { FakeSink } from "../fanout/fake_sink.js";
import { ROOM, type World } from "./world.js";

/** Something that a client does. Numbers choose among the streams, or the sessions, that there are. */
export type Act =
  | {
      readonly do: "open";
      readonly user: string;
      readonly deviceId: string;
      readonly session: number | undefined;
      readonly timeout: number;
    }
  | { readonly do: "close"; readonly stream: number; readonly how: StreamEnd }
  | { readonly do: "set"; readonly user: string; readonly value: string }
  | { readonly do: "compare"; readonly user: string; readonly revision: number }
  | { readonly do: "batch"; readonly entries: readonly { readonly user: string; readonly value: string }[] }
  | { readonly do: "lease"; readonly user: string; readonly deviceId: string }
  | { readonly do: "heartbeat"; readonly session: number }
  | { readonly do: "leave"; readonly user: string; readonly session: number | undefined };

const user = fc.constantFrom("ann", "ann", "bob");
const deviceId = fc.constantFrom("", "phone", "desktop");
const pick = fc.nat(5);
const maybe = fc.option(pick, { nil: undefined });

const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      do: fc.constant("open" as const),
      user,
      deviceId,
      session: maybe,
      timeout: fc.constantFrom(0, 5, 30),
    }),
  },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant("close" as const),
      stream: pick,
      how: fc.constantFrom("cancelled" as const, "lost" as const),
    }),
  },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("set" as const), user, value: fc.constantFrom("1", "2") }) },
  { weight: 3, arbitrary: fc.record({ do: fc.constant("compare" as const), user, revision: pick }) },
  {
    weight: 2,
    arbitrary: fc.record({
      do: fc.constant("batch" as const),
      entries: fc.array(fc.record({ user, value: fc.constantFrom("1", "2", "3") }), { minLength: 1, maxLength: 5 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("lease" as const), user, deviceId }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant("heartbeat" as const), session: pick }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant("leave" as const), user, session: maybe }) },
);

/** Rounds of things that are done at the same moment, and the time that goes by after each. */
export const rounds = fc.array(
  fc.record({ acts: fc.array(act, { minLength: 1, maxLength: 5 }), ms: fc.constantFrom(0, 0, 1000, 5000, 30_000) }),
  { maxLength: 12, size: "max" },
);

interface Stream {
  readonly user: string;
  readonly history: History;
  readonly sink: FakeSink;
  /** `undefined`: not let in. */
  subscription: Promise<Subscription | undefined>;
  closed: boolean;
}

/** Clients who do things at the same time, and what they hear. */
export class Crowd {
  readonly #streams: Stream[] = [];
  readonly #sessions: string[] = [];
  /** Revisions that states of each user had, and those of them that a compare-and-set matched. */
  readonly #revisions = new Map<string, bigint[]>();
  readonly #matched = new Set<string>();
  readonly #monitor: Stream;

  constructor(private readonly world: World) {
    this.#monitor = this.#open("monitor", { quiet: true, includeSelf: true });
    this.#streams.pop();
  }

  /** Does all of it at once, waits until it is done, and then for so long. */
  async together(acts: readonly Act[], ms = 0): Promise<void> {
    const refused = (error: unknown): void => {
      if (!(error instanceof PresenceError)) throw error;
      assert.ok(["SESSION_NOT_FOUND", "NOT_ALLOWED", "STATE_REVISION_MISMATCH"].includes(error.reason), error.message);
    };
    await Promise.all(acts.map((act) => this.#act(act)?.catch(refused)));
    await this.world.settle();
    await this.world.pass(ms);
    this.#checkStreams();
  }

  /** Everybody goes, and all time limits pass: then nothing may be left. */
  async goHome(): Promise<void> {
    const { world } = this;
    checkGuarantees(
      [this.#monitor, ...this.#streams].map(({ history }) => history),
      { changes: changesHeardBy(this.#monitor.history), final: this.#final() },
      { gapFree: true },
    );
    for (const stream of [...this.#streams, this.#monitor]) {
      if (!stream.closed) await this.#close(stream, "lost");
    }
    for (const ms of [30_000, 300_000, 60_000]) await world.pass(ms);
    assert.deepEqual(world.memory.stats(), { channels: 0, present: 0, sessions: 0, users: 0 }, "ghosts");
    assert.equal(world.service.openStreams, 0);
    assert.equal(world.hub.stats().channels, 0);
    assert.deepEqual(world.errors, []);
  }

  #act(act: Act): Promise<unknown> | undefined {
    switch (act.do) {
      case "open": {
        const sessionId = this.#session(act.session) ?? "";
        const presenceTimeout = { seconds: BigInt(act.timeout) };
        return this.#open(act.user, { sessionId, deviceId: act.deviceId, presenceTimeout }).subscription;
      }
      case "close": {
        const stream = this.#streams[act.stream];
        return stream && !stream.closed ? this.#close(stream, act.how) : undefined;
      }
      case "set":
        return this.#set(act.user, { value: act.value });
      case "compare":
        return this.#compareAndSet(act.user, this.#revisions.get(act.user)?.at(-1 - act.revision));
      case "batch":
        return this.world.setAll(act.entries.map(({ user: userId, value }) => ({ userId, states: { value } })));
      case "lease":
        return this.world
          .joinLease(act.user, { deviceId: act.deviceId })
          .then(({ sessionId }) => this.#sessions.push(sessionId));
      case "heartbeat": {
        const session = this.#session(act.session);
        return session === undefined ? undefined : this.world.heartbeat(undefined, [session]);
      }
      case "leave":
        return this.world.leave(act.user, { sessionId: this.#session(act.session) });
    }
  }

  async #set(user: string, states: Record<string, string>, init = {}): Promise<void> {
    const { state } = await this.world.set(user, states, init);
    const known = this.#revisions.get(user) ?? [];
    this.#revisions.set(user, [...known, BigInt(state.revision)]);
  }

  /** A revision names one state, so that it matches once at most. */
  async #compareAndSet(user: string, expectedRevision: bigint | undefined): Promise<void> {
    if (expectedRevision === undefined) return;
    await this.#set(user, { value: "compared" }, { expectedRevision });
    const match = `${user} ${expectedRevision}`;
    assert.ok(!this.#matched.has(match), `${match} matched twice`);
    this.#matched.add(match);
  }

  #open(user: string, init: object): Stream {
    const name = `${user} ${this.#streams.length}`;
    const history = createHistory({ userId: user, name, ...init });
    recordBegin(history);
    const sink = new FakeSink((response) => {
      recordEvents(history, response);
      const [first] = response.events;
      if (first?.event.case === "subscribed") this.#sessions.push(first.event.value.sessionId);
    });
    const stream: Stream = { user, history, sink, subscription: this.world.open(user, init, sink), closed: false };
    stream.subscription = stream.subscription.catch((error: unknown) => {
      if (!(error instanceof PresenceError && error.reason === "NOT_ALLOWED")) throw error;
      if (!stream.closed) recordEnd(history, { reason: "refused" });
      stream.closed = true;
      return undefined;
    });
    this.#streams.push(stream);
    return stream;
  }

  async #close(stream: Stream, how: StreamEnd): Promise<void> {
    stream.closed = true;
    recordEnd(stream.history, { reason: how });
    await (await stream.subscription)?.closed(how);
  }

  #session(choice: number | undefined): string | undefined {
    return choice === undefined ? undefined : this.#sessions.at(-1 - choice);
  }

  /** Every stream is open that has a session, and no other one. */
  #checkStreams(): void {
    for (const stream of this.#streams) {
      if (!stream.sink.ended || stream.closed) continue;
      stream.closed = true;
      recordEnd(stream.history, { reason: "ended by the server" });
    }
    const attached = ["ann", "bob"].flatMap((user) => {
      const { sessions } = this.world.memory.read({ type: 1, name: ROOM.name }, user).member;
      return sessions.filter((session) => session.kind === "stream" && session.deadline === undefined);
    });
    const open = this.#streams.filter(({ history, closed }) => !closed && history.items.at(-1)?.kind !== "end");
    assert.equal(open.length, attached.length, "open streams, and sessions that have one");
    assert.equal(this.world.service.openStreams, open.length + 1);
  }

  #final() {
    const { users, position } = this.world.memory.snapshot({ type: 1, name: ROOM.name });
    return {
      users: new Map(users.map(({ userId, states }) => [userId, states])),
      position: { epoch: position.epoch, revision: BigInt(position.revision) },
    };
  }
}
