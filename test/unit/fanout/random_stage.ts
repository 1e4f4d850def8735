import assert from "node:assert/strict";
import fc from "fast-check";
import type { HubOptions } from "../../../src/fanout/hub.js";
import type { Pace } from "../../../src/fanout/pace.js";
import type { Reader } from "../../../src/fanout/reader.js";
import { checkGuarantees } from "../../guarantees/check.js";
import { createHistory, type History, type Position } from "../../guarantees/history.js";
import { recordBegin, recordEnd, recordEvents } from "../../guarantees/record.js";
import type { Change } from "../../guarantees/truth.js";
import { largeRevisions } from "../../support/revisions.js";
import { FakeSink } from "./fake_sink.js";
import { type Done, ROOM, Stage } from "./stage.js";

/** One thing that happens on the stage. Numbers choose among the readers that there are. */
export type Action =
  | { readonly do: "come" | "go" | "vanish" | "change"; readonly user: string; readonly value: string }
  | { readonly do: "flush" }
  | { readonly do: "pass"; readonly ms: number }
  | { readonly do: "stall" | "drain"; readonly reader: number; readonly writes: number }
  | { readonly do: "drainForNothing"; readonly reader: number }
  | { readonly do: "subscribe"; readonly user: string; readonly includeSelf: boolean; readonly quiet: boolean }
  | { readonly do: "lose" | "cancel"; readonly reader: number }
  | { readonly do: "resume"; readonly reader: number; readonly interrupted: boolean };

const reader = fc.nat(3);
const user = fc.constantFrom("ann", "bob", "cid", "eve", "fay");
const readingUser = fc.constantFrom("rosa", "rita");
const writes = fc.constantFrom(1, 1, 2, 3, 1000);

/** A course of such things. */
export const actions: fc.Arbitrary<Action[]> = fc.array(
  fc.oneof(
    {
      weight: 12,
      arbitrary: fc.record({
        do: fc.constantFrom("come" as const, "go" as const, "vanish" as const, "change" as const),
        user,
        value: fc.constantFrom("1", "2", "x".repeat(150)),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant("change" as const), user: readingUser, value: fc.constantFrom("1", "2") }),
    },
    { weight: 8, arbitrary: fc.constant({ do: "flush" as const }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant("pass" as const), ms: fc.constantFrom(400, 1000, 30_000, 61_000) }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constantFrom("stall" as const, "drain" as const), reader, writes }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant("drainForNothing" as const), reader }) },
    {
      weight: 2,
      arbitrary: fc.record({
        do: fc.constant("subscribe" as const),
        user: readingUser,
        includeSelf: fc.boolean(),
        quiet: fc.boolean(),
      }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constantFrom("lose" as const, "cancel" as const), reader }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant("resume" as const), reader, interrupted: fc.boolean() }) },
  ),
  { maxLength: 80, size: "max" },
);

/** One subscriber: its streams come and go, what it heard stays. */
interface Client {
  readonly history: History;
  readonly sessionId: string;
  sink: FakeSink;
  reader: Reader;
  /** Its sink never said that there was no room. */
  keptUp: boolean;
}

/** A stage with clients, and a record of all that was committed. */
export class RandomStage {
  readonly clients: Client[] = [];
  readonly #stage: Stage;
  readonly #changes: Change[] = [];

  /** Without a pace the channel never gets large enough for intervals. */
  constructor(
    options: Pick<HubOptions, "maxBacklogBytes" | "maxChunkBytes" | "maxMessageBytes">,
    log: { readonly maxEvents: number; readonly maxBytes: number },
    private readonly pace?: Pace,
  ) {
    const paceOf = () => pace ?? { announceMax: 1000, intervalMs: 1000 };
    this.#stage = new Stage({ ...options, laggingTimeoutMs: 1e9, paceOf }, log, largeRevisions);
  }

  /** Lets it happen, where it makes sense, and compares the gauges. */
  act(action: Action): void {
    switch (action.do) {
      case "come":
        if (!this.#present(action.user)) this.#done(this.#stage.join(action.user, { come: action.value }));
        break;
      case "go":
        if (this.#present(action.user)) this.#done(this.#stage.leave(action.user));
        break;
      case "vanish":
        if (!this.#present(action.user)) break;
        this.#done(this.#stage.do(action.user, { kind: "detach", sessionId: action.user, attachment: 0 }));
        break;
      case "change":
        if (this.#present(action.user))
          this.#done(this.#stage.set(action.user, { [action.value.slice(0, 1)]: action.value }));
        break;
      case "flush":
        this.#stage.flush();
        break;
      case "pass":
        for (const done of this.#stage.pass(action.ms)) this.#done(done);
        break;
      case "subscribe":
        this.#subscribe(action.user, action.includeSelf, action.quiet);
        break;
      default:
        this.#actOn(this.clients[action.reader], action);
    }
    this.#checkGauges();
  }

  /** Lets everything come to rest, with every reader reading, and holds what they heard against what happened. */
  finish(): void {
    for (let round = 0; round < 10; round++) {
      for (const { sink } of this.clients) sink.drain();
      this.#stage.settle();
      for (const done of this.#stage.pass(this.pace?.intervalMs ?? 0)) this.#done(done);
    }
    this.#checkGauges();
    for (const { sink, history } of this.clients) assert.equal(sink.overruns, 0, `${history.name} was written to`);
    const open = this.clients.filter(({ reader }) => reader.state !== "closed");
    for (const { reader, history } of open) assert.equal(reader.state, "live", `${history.name} is not live at rest`);

    const { users, position } = this.#stage.engine.snapshot(ROOM);
    const final = {
      users: new Map(users.map(({ userId, states }) => [userId, states])),
      position: { epoch: position.epoch, revision: BigInt(position.revision) },
    };
    const truth = { changes: this.#changes, final };
    checkGuarantees(historiesOf(this.clients), truth, { gapFree: false });
    if (this.pace) return;
    checkGuarantees(historiesOf(this.clients.filter(({ keptUp }) => keptUp)), truth, { gapFree: true });
  }

  #actOn(client: Client | undefined, action: Extract<Action, { reader: number }>): void {
    if (!client) return;
    const open = client.reader.state !== "closed";
    switch (action.do) {
      case "stall":
        client.keptUp = false;
        client.sink.stall(action.writes);
        break;
      case "drain":
        client.sink.drain(action.writes === 1000 ? undefined : action.writes);
        if (action.writes !== 1000) client.keptUp = false;
        break;
      case "drainForNothing":
        client.sink.drainForNothing();
        break;
      case "lose":
      case "cancel":
        if (open) this.#close(client, action.do);
        break;
      case "resume":
        if (!open) this.#resume(client, action.interrupted);
    }
  }

  #subscribe(userId: string, includeSelf: boolean, quiet: boolean): void {
    const name = `${userId} ${this.clients.length}`;
    const history = createHistory({ userId, name, includeSelf, quiet });
    const done = this.#join(history, name, undefined);
    recordBegin(history);
    const stream = this.#open(history, done, undefined);
    this.clients.push({ history, sessionId: name, keptUp: true, ...stream });
  }

  #close({ history, reader, sessionId }: Client, how: "lose" | "cancel"): void {
    reader.detach();
    recordEnd(history, { reason: how });
    const { member } = this.#stage.engine.read(ROOM, history.userId);
    const session = member.sessions.find(({ id }) => id === sessionId);
    if (session?.kind !== "stream") return;
    const { attachment } = session;
    const kind = how === "lose" ? ("detach" as const) : ("leave" as const);
    this.#done(this.#stage.do(history.userId, { kind, sessionId, attachment }));
  }

  /** Comes back from the last position that was heard, or anew where none was. */
  #resume(client: Client, interrupted: boolean): void {
    const { history, sessionId } = client;
    const from = lastPosition(history);
    const done = this.#join(history, sessionId, sessionId);
    const stream = this.#open(history, done, from, () => {
      if (!interrupted) return;
      this.act({ do: "come", user: "dan", value: "1" });
      this.#stage.flush();
      this.act({ do: "go", user: "dan", value: "1" });
    });
    Object.assign(client, stream);
  }

  #join(history: History, sessionId: string, resume: string | undefined): Done {
    const session = { kind: "stream" as const, quiet: history.quiet, timeoutMs: 30_000 };
    // Readers of one user take turns with two devices, so that some joins end lost sessions and some do not.
    const deviceId = Number(history.name.split(" ")[1]) % 2 === 0 ? "" : "phone";
    const join = { kind: "join" as const, sessionId, session, resume, deviceId, initialStates: {} };
    return this.#done(this.#stage.do(history.userId, join));
  }

  #open(history: History, { position, occupancy, outcome }: Done, from: Position | undefined, meanwhile = () => {}) {
    const resumeFrom = from && { epoch: from.epoch, revision: Number(from.revision) };
    const deltas = resumeFrom && this.#stage.engine.replay(ROOM, resumeFrom);
    const missed = resumeFrom && deltas && { from: resumeFrom.revision, deltas };
    if (from) recordBegin(history, { resumeFrom: from });
    else if (history.items.at(-1)?.kind !== "begin") recordBegin(history);
    meanwhile();
    const { resumed } = outcome.joined!;
    const { userId, includeSelf } = history;
    const terms = {
      userId,
      sessionId: outcome.joined!.session.id,
      presenceTimeoutMs: 30_000,
      resumed,
      occupancy,
      heartbeatMs: 0,
    };
    const time = this.#stage.clock.now().wall;
    const sink = new FakeSink((response) => recordEvents(history, response));
    const options = { userId, includeSelf, terms, revision: position.revision, time, missed };
    return { sink, reader: this.#stage.hub.subscribe(ROOM, options, sink) };
  }

  #present(userId: string): boolean {
    return this.#stage.engine.read(ROOM, userId).member.presence !== undefined;
  }

  #done(done: Done): Done {
    for (const delta of done.deltas) {
      const { kind, userId } = delta;
      const position = { epoch: done.position.epoch, revision: BigInt(delta.revision) };
      this.#changes.push({ position, kind, userId, states: kind === "state" ? delta.state.states : {} });
    }
    return done;
  }

  #checkGauges(): void {
    const counts = { live: 0, lagging: 0, resyncing: 0 };
    for (const { reader } of this.clients) if (reader.state !== "closed") counts[reader.state] += 1;
    const { readers, channels } = this.#stage.hub.stats();
    assert.deepEqual(readers, counts);
    assert.equal(channels, counts.live + counts.lagging + counts.resyncing > 0 ? 1 : 0);
  }
}

function historiesOf(clients: readonly Client[]): History[] {
  return clients.map(({ history }) => history);
}

/** The position that a client would resume from: that of the last event that it has applied. */
function lastPosition({ items }: History): Position | undefined {
  let position: Position | undefined;
  for (const item of items) {
    if (item.kind === "begin" || item.kind === "end" || item.kind === "subscribed") continue;
    if (item.kind === "snapshot" && !item.last) continue;
    position = item.position;
  }
  return position;
}
