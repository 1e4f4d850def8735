import { create } from "@bufbuild/protobuf";
import * as pb from "../../gen/presence/v1/presence_service_pb.js";
import type { SetStates } from "../channel/command.js";
import { stateOf } from "../channel/member.js";
import type { EndedSession } from "../channel/outcome.js";
import type { Engine } from "../engine/engine.js";
import type { Feed } from "../fanout/feed.js";
import type { FeedReader } from "../fanout/feed_reader.js";
import type { Hub } from "../fanout/hub.js";
import type { EventCodec, Sink } from "../fanout/ports.js";
import type { Reader } from "../fanout/reader.js";
import { PresenceError } from "../model/errors.js";
import type { Clock } from "../time/clock.js";
import { toRevision } from "../wire/messages.js";
import type { Joined, Written } from "../wire/write_response.js";
import { allowedChannel } from "./access.js";
import { Admission } from "./admission.js";
import { andThen } from "./at_once.js";
import { type EntryResult, runBatch, type UserCommand } from "./batch.js";
import { CallRates } from "./call_rates.js";
import { actingUser, type Caller, namedUser } from "./caller.js";
import { joined, Leases } from "./leases.js";
import { Members, type Result } from "./members.js";
import { presentUser, Queries } from "./queries.js";
import type { ServiceSettings } from "./settings.js";
import { Streams } from "./streams.js";
import { draining, Subscriber, type Subscription } from "./subscriber.js";
import { TokenExpiry } from "./token_expiry.js";
import { Turns } from "./turns.js";
import { Watchers } from "./watchers.js";

/** What the use cases stand on. */
export interface PresenceServiceOptions {
  readonly engine: Engine;
  readonly hub: Hub;
  readonly feed: Feed;
  readonly codec: EventCodec;
  readonly clock: Clock;
  readonly settings: ServiceSettings;
  /** Whether the process's memory is above its limit: then nothing is accepted that adds to it. Asked with every write. */
  readonly isMemoryShort: () => boolean;
  /** Runs `work` in a later turn of the event loop: `setImmediate`, except in tests. */
  readonly schedule: (work: () => void) => void;
  /** Whether the key of this id, which signed a caller's token, is still published. */
  readonly isKeyPublished: (keyId: string) => boolean;
  /** Something failed that no caller waits for. */
  readonly onError: (error: unknown) => void;
}

/**
 * The use cases: one method for each RPC of the contract, on requests that have been validated. A write answers with
 * the domain's own words, which are encoded once the transport is known.
 *
 * In a batch, what has been validated is the number of the entries alone.
 *
 * Knows no transport. Each throws a PresenceError when the call is refused; then nothing has changed (S22).
 */
export class PresenceService {
  readonly #members: Members;
  readonly #streams = new Streams();
  readonly #subscriber: Subscriber;
  readonly #watchers: Watchers;
  readonly #queries: Queries;
  readonly #leases: Leases;
  readonly #expiry: TokenExpiry;
  readonly #rates: CallRates;

  constructor(private readonly options: PresenceServiceOptions) {
    const { engine, feed, clock, settings, schedule, isMemoryShort, onError } = options;
    this.#members = new Members({
      engine,
      clock,
      rulesOf: settings.rulesOf,
      admission: new Admission({ engine, quotas: settings.quotas, isMemoryShort }),
      onEnded: (ended) => this.#endStream(ended),
      onError,
    });
    this.#expiry = new TokenExpiry({
      clock,
      graceMs: settings.streamTokenGraceMs,
      isKeyPublished: options.isKeyPublished,
    });
    this.#rates = new CallRates(settings.rates, clock);
    this.#subscriber = new Subscriber({
      ...options,
      rates: this.#rates,
      members: this.#members,
      streams: this.#streams,
      expiry: this.#expiry,
    });
    this.#watchers = new Watchers({
      feed,
      rates: this.#rates,
      streams: this.#streams,
      expiry: this.#expiry,
      drainJitterMs: settings.drainJitterMs,
      streamHeartbeatMs: settings.streamHeartbeatMs,
    });
    this.#queries = new Queries({ engine, rates: this.#rates, turns: new Turns(schedule) });
    this.#leases = new Leases({
      engine,
      members: this.#members,
      rates: this.#rates,
      clock,
      leaseTtlMs: settings.leaseTtlMs,
    });
  }

  /** How many streams are open here. */
  get openStreams(): number {
    return this.#streams.size;
  }

  /**
   * A call has come, and its request is not yet decoded. To be asked first; throws RATE_LIMITED when its caller calls too
   * often (S21), which is then all that the call has cost.
   */
  admit(caller: Caller, method: string): void {
    this.#rates.call(caller, method);
  }

  /** S9, S11, S12, S14. */
  async setState(caller: Caller, request: pb.SetStateRequest): Promise<Written> {
    const { channel, userId, command } = this.#setting(caller, request);
    return andThen(this.#members.start(channel, userId, command), (result) => this.#written(result));
  }

  /** S9, S11, S12, S14, for up to 1000 entries, each with a result of its own, and each checked here. */
  async batchSetState(caller: Caller, { requests }: pb.BatchSetStateRequest): Promise<readonly EntryResult<Written>[]> {
    this.#rates.batch(caller, requests.length);
    return runBatch(
      {
        members: this.#members,
        schema: pb.SetStateRequestSchema,
        commandOf: (request) => this.#setting(caller, request),
        answersOf: (result) => {
          const answer = this.#written(result);
          return () => answer;
        },
      },
      requests,
    );
  }

  /** S13. */
  async getState(caller: Caller, request: pb.GetStateRequest): Promise<pb.GetStateResponse> {
    const userId = namedUser(caller, request.userId);
    const channel = allowedChannel(caller, request.channel!, "read");
    const { member } = await this.options.engine.read(channel, userId);
    if (!member.presence) {
      throw new PresenceError("PRESENCE_USER_NOT_EXIST", `user ${userId} is not present in channel ${channel.name}`, {
        metadata: { user_id: userId, channel: channel.name },
      });
    }
    return create(pb.GetStateResponseSchema, { state: presentUser(member) });
  }

  /** S10, S11. */
  async removeState(caller: Caller, request: pb.RemoveStateRequest): Promise<Written> {
    const userId = this.#actingUser(caller, request.userId);
    const result = await this.#members.run(allowedChannel(caller, request.channel!, "write"), userId, {
      kind: "remove",
      keys: request.keys,
    });
    return this.#written(result);
  }

  /** S1 to S8, S15, S16: joins, and writes the channel's events to `sink` until it is closed. */
  async subscribe(caller: Caller, request: pb.SubscribePresenceRequest, sink: Sink): Promise<Subscription> {
    return this.#subscriber.subscribe(caller, this.#actingUser(caller, request.userId), request, sink);
  }

  /** S16, S16a: writes what happens in many channels to `sink` until it is closed. NOT_ALLOWED without the right to it. */
  async watchChannels(caller: Caller, request: pb.WatchChannelsRequest, sink: Sink): Promise<Subscription> {
    return this.#watchers.watch(caller, request, sink);
  }

  /** S19. */
  async listOnlineUsers(caller: Caller, request: pb.ListOnlineUsersRequest): Promise<pb.ListOnlineUsersResponse> {
    return this.#queries.onlineUsers(caller, allowedChannel(caller, request.channel!, "read"), request);
  }

  /** S19. */
  async listUserChannels(caller: Caller, request: pb.ListUserChannelsRequest): Promise<pb.ListUserChannelsResponse> {
    return this.#queries.userChannels(caller, namedUser(caller, request.userId), request);
  }

  /** S17. */
  async joinChannel(caller: Caller, request: pb.JoinChannelRequest): Promise<Joined> {
    return this.#leases.join(caller, request);
  }

  /** S17, for up to 1000 entries, each with a result of its own, and each checked here. */
  async batchJoinChannel(
    caller: Caller,
    { requests }: pb.BatchJoinChannelRequest,
  ): Promise<readonly EntryResult<Joined>[]> {
    this.#rates.batch(caller, requests.length);
    return runBatch(
      {
        members: this.#members,
        schema: pb.JoinChannelRequestSchema,
        commandOf: (request) => this.#leases.joining(caller, request),
        answersOf: (result) => (command) => joined(result, command),
      },
      requests,
    );
  }

  /** S17. Refused as a whole when one of the sessions is another user's than the caller. */
  heartbeat(caller: Caller, request: pb.HeartbeatRequest): Promise<pb.HeartbeatResponse> {
    return this.#leases.heartbeat(caller, request);
  }

  /** S2. */
  leaveChannel(caller: Caller, request: pb.LeaveChannelRequest): Promise<pb.LeaveChannelResponse> {
    return this.#leases.leave(caller, request);
  }

  /** The fan-out ended a reader: its session is a drop (S3, S16a). */
  readerDropped(reader: Reader): void {
    this.#subscriber.readerDropped(reader);
  }

  /** The feed ended a watcher (S16a). */
  watcherDropped(reader: FeedReader): void {
    this.#watchers.dropped(reader);
  }

  /** Other keys of tokens are published than before: ends the streams of those that are withdrawn, as drops (S20). */
  keysChanged(): void {
    this.#expiry.keysChanged();
  }

  /** Sends all streams away, and refuses new ones (S24). Their sessions stay present for their grace. */
  drain(): void {
    this.#subscriber.refuseAll();
    this.#watchers.refuseAll();
    this.#streams.endAll(() => draining(this.options.settings.drainJitterMs));
  }

  /** Stops all timers. */
  close(): void {
    this.#members.close();
    this.#expiry.close();
    this.#rates.close();
  }

  /** The answer to a write. */
  #written({ member, position }: Result): Written {
    const { presence, pending } = member;
    const pendingExpireTime = presence || !pending ? undefined : this.#wallTimeOf(pending.deadline);
    return { state: stateOf(member), pending: !presence, position, pendingExpireTime };
  }

  /** The wall time, in ms since 1970, of a tick to come. */
  #wallTimeOf(tick: number): number {
    const now = this.options.clock.now();
    return Math.round(now.wall + tick - now.tick);
  }

  #setting(caller: Caller, request: pb.SetStateRequest): UserCommand<SetStates> {
    const { states, replace } = request;
    const userId = this.#actingUser(caller, request.userId);
    const channel = allowedChannel(caller, request.channel!, "write");
    const expectedRevision = request.expectedRevision === undefined ? undefined : toRevision(request.expectedRevision);
    return { channel, userId, command: { kind: "set", states, replace, expectedRevision } };
  }

  #actingUser(caller: Caller, requested: string): string {
    const userId = actingUser(caller, requested);
    this.#rates.actingFor(caller, userId);
    return userId;
  }

  #endStream({ sessionId, attachment, why }: EndedSession): void {
    if (attachment === undefined) return;
    const replaced =
      why === "replaced"
        ? new PresenceError("SAME_USER_REPLACED", "a newer session of the same user took this one's place", {
            metadata: { session_id: sessionId },
          })
        : undefined;
    this.#streams.end(sessionId, attachment, replaced);
  }
}
