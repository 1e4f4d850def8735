import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { create, type MessageInitShape } from "@bufbuild/protobuf";
import * as pb from "../../../gen/presence/v1/presence_service_pb.js";
import type { Rules } from "../../../src/channel/apply.js";
import type { Engine } from "../../../src/engine/engine.js";
import { MemoryEngine } from "../../../src/engine/memory.js";
import { Feed } from "../../../src/fanout/feed.js";
import { Hub } from "../../../src/fanout/hub.js";
import { SharedCodec } from "../../../src/fanout/shared_codec.js";
import { PresenceError, type Reason } from "../../../src/model/errors.js";
import { DEFAULT_LIMITS, type Limits } from "../../../src/model/limits.js";
import { logsExceed, type QuotaSettings } from "../../../src/service/admission.js";
import { PresenceService } from "../../../src/service/presence_service.js";
import type { ServiceSettings } from "../../../src/service/settings.js";
import type { StreamEnd, Subscription } from "../../../src/service/subscriber.js";
import type { Clock } from "../../../src/time/clock.js";
import { eventCodec } from "../../../src/wire/event_codec.js";
import { feedCodec } from "../../../src/wire/feed_codec.js";
import type { Joined } from "../../../src/wire/write_response.js";
import { ManualClock } from "../../support/manual_clock.js";
import { smallRevisions } from "../../support/revisions.js";
import { FakeSink } from "../fanout/fake_sink.js";
import { ratesOff } from "./rates.js";

export const ROOM = { type: 1, name: "room" };

/** No quota. */
export const NO_QUOTAS: QuotaSettings = {
  appMaxChannels: 0,
  appMaxMembers: 0,
  appMaxBytes: 0,
  appMaxPending: 0,
  appMaxStreams: 0,
};

/** A channel of type MESSAGE. */
export const room = (name: string) => ({ type: 1, name });

/** What a world may have that a first start has not. */
export interface WorldOptions {
  readonly settings?: Partial<ServiceSettings>;
  readonly rules?: Partial<Rules>;
  readonly limits?: Partial<Limits>;
  readonly log?: { readonly maxEvents: number; readonly maxBytes: number };
  /** What stands between the service and the engine. */
  readonly wrap?: (engine: Engine) => Engine;
  /** Default: small ones. */
  readonly revisionsOf?: (clock: Clock) => (above: number) => number;
  /** After how many turns of the event loop without news everything counts as settled. Default 8. */
  readonly patience?: number;
}

type SubscribeInit = Omit<MessageInitShape<typeof pb.SubscribePresenceRequestSchema>, "$typeName">;

/** A stream that was let in, from the client's side. */
export interface Client {
  readonly sink: FakeSink;
  readonly sessionId: string;
  readonly subscription: Subscription;
  /** The client cancels, or is lost. */
  gone(how: StreamEnd): Promise<void>;
  /** The events since the last time, in short. */
  told(): string[];
}

/** The whole service in memory: no sockets, and time and the hub's turns in the test's hands. */
export class World {
  readonly clock = new ManualClock();
  readonly memory: MemoryEngine;
  readonly hub: Hub;
  readonly feed: Feed;
  readonly service: PresenceService;
  readonly errors: unknown[] = [];
  readonly withdrawnKeys = new Set<string>();
  /** Whether the process is to be taken for one that is short of memory. */
  memoryShort = false;
  readonly #flushes: (() => void)[] = [];
  readonly #patience: number;

  constructor(options: WorldOptions = {}) {
    const { settings, rules, limits, log, wrap = (engine) => engine, patience = 8 } = options;
    this.#patience = patience;
    const { clock } = this;
    let epochs = 0;
    this.memory = new MemoryEngine({
      clock,
      newEpoch: () => `epoch ${++epochs}`,
      newRevision: options.revisionsOf?.(clock) ?? smallRevisions,
      resumeTtlMs: 60_000,
      log: log ?? { maxEvents: 1000, maxBytes: 262_144 },
      logsGiveWay: (app) => this.memoryShort || logsExceed(settings?.quotas ?? NO_QUOTAS, app),
    });
    const engine = wrap(this.memory);
    const shared: Rules = {
      limits: { ...DEFAULT_LIMITS, ...limits },
      sameUser: "multi",
      pendingTtlMs: 300_000,
      leaveDebounceMs: 0,
      ...rules,
    };
    const fanout = {
      clock,
      codec: new SharedCodec(eventCodec),
      source: engine,
      maxBacklogBytes: 262_144,
      laggingTimeoutMs: 60_000,
      paceOf: () => ({ announceMax: 500, intervalMs: 1000 }),
      schedule: (flush: () => void) => this.#flushes.push(flush),
    };
    this.hub = new Hub({ ...fanout, onDropped: (reader) => this.service.readerDropped(reader) });
    this.feed = new Feed({ ...fanout, feedCodec, onDropped: (reader) => this.service.watcherDropped(reader) });
    this.service = new PresenceService({
      engine,
      hub: this.hub,
      feed: this.feed,
      codec: eventCodec,
      clock,
      schedule: setImmediate,
      isKeyPublished: (keyId) => !this.withdrawnKeys.has(keyId),
      isMemoryShort: () => this.memoryShort,
      onError: (error) => this.errors.push(error),
      settings: {
        rulesOf: () => shared,
        presenceTimeoutMs: 30_000,
        leaseTtlMs: 30_000,
        leaveOnCancel: true,
        streamTokenGraceMs: 0,
        rates: ratesOff(),
        quotas: NO_QUOTAS,
        drainJitterMs: 5000,
        streamHeartbeatMs: 0,
        ...settings,
      },
    });
  }

  /** Lets everything that is under way come to its end. */
  async settle(): Promise<void> {
    for (let quiet = 0; quiet < this.#patience; quiet++) {
      await turn();
      const flushes = this.#flushes.splice(0);
      for (const flush of flushes) flush();
      if (flushes.length > 0) quiet = 0;
    }
  }

  /** Lets time go by, and everything that it brings about. */
  async pass(ms: number): Promise<void> {
    this.clock.advance(ms);
    await this.settle();
  }

  /** Opens a stream without waiting for it. */
  open(userId: string, init: SubscribeInit = {}, sink = new FakeSink()): Promise<Subscription> {
    const request = create(pb.SubscribePresenceRequestSchema, { channel: ROOM, ...init });
    return this.service.subscribe({ userId }, request, sink);
  }

  /** Opens a stream; its first events are there to be taken. */
  async subscribe(userId: string, init: SubscribeInit = {}): Promise<Client> {
    const sink = new FakeSink();
    const subscription = await this.open(userId, init, sink);
    await this.settle();
    const subscribed = sink.responses[0]?.events[0]?.event;
    assert.equal(subscribed?.case, "subscribed");
    const gone = async (how: StreamEnd): Promise<void> => {
      await subscription.closed(how);
      await this.settle();
    };
    return { sink, subscription, sessionId: subscribed.value.sessionId, gone, told: () => sink.told() };
  }

  /** Opens a stream whose first events nobody looks at. */
  async listen(userId = "listener", init: SubscribeInit = {}): Promise<Client> {
    const client = await this.subscribe(userId, { quiet: true, ...init });
    client.sink.take();
    return client;
  }

  async set(userId: string, states: Record<string, string>, init = {}): ReturnType<PresenceService["setState"]> {
    const request = create(pb.SetStateRequestSchema, { channel: ROOM, states, ...init });
    const written = await this.service.setState({ userId }, request);
    await this.settle();
    return written;
  }

  /** Sets states of several users in one call; gives the results of the entries. */
  async setAll(
    entries: readonly { userId: string; states: Record<string, string> }[],
  ): ReturnType<PresenceService["batchSetState"]> {
    const requests = entries.map((entry) => ({ channel: ROOM, ...entry }));
    const results = await this.service.batchSetState(
      { userId: undefined },
      create(pb.BatchSetStateRequestSchema, { requests }),
    );
    await this.settle();
    return results;
  }

  async remove(userId: string, keys: string[], init = {}): ReturnType<PresenceService["removeState"]> {
    const request = create(pb.RemoveStateRequestSchema, { channel: ROOM, keys, ...init });
    const written = await this.service.removeState({ userId }, request);
    await this.settle();
    return written;
  }

  async get(userId: string, init = {}): Promise<Record<string, string>> {
    const request = create(pb.GetStateRequestSchema, { channel: ROOM, userId, ...init });
    const { state } = await this.service.getState({ userId: "anybody" }, request);
    return { ...state!.states };
  }

  async joinLease(userId: string, init = {}): Promise<Joined> {
    const request = create(pb.JoinChannelRequestSchema, { channel: ROOM, ...init });
    const joined = await this.service.joinChannel({ userId }, request);
    await this.settle();
    return joined;
  }

  async heartbeat(userId: string | undefined, sessionIds: string[], init = {}): Promise<string[]> {
    const request = create(pb.HeartbeatRequestSchema, { sessionIds, ...init });
    const { expiredSessionIds } = await this.service.heartbeat({ userId }, request);
    await this.settle();
    return expiredSessionIds;
  }

  async leave(userId: string, init = {}): Promise<void> {
    const request = create(pb.LeaveChannelRequestSchema, { channel: ROOM, ...init });
    await this.service.leaveChannel({ userId }, request);
    await this.settle();
  }

  /** Who is online, by ListOnlineUsers. */
  async online(init = {}): Promise<string[]> {
    const request = create(pb.ListOnlineUsersRequestSchema, { channel: ROOM, ...init });
    const { users } = await this.service.listOnlineUsers({ userId: "anybody" }, request);
    return users.map(({ userId }) => userId);
  }
}

/** The refusal of a call, for this reason. */
export async function refusal(reason: Reason, call: () => Promise<unknown>): Promise<PresenceError> {
  try {
    await call();
  } catch (error) {
    assert.ok(error instanceof PresenceError, String(error));
    assert.equal(error.reason, reason);
    return error;
  }
  return assert.fail(`not refused (${reason})`);
}
