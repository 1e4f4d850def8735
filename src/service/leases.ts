import { create } from "@bufbuild/protobuf";
import * as pb from "../../gen/presence/v1/presence_service_pb.js";
import type { Join } from "../channel/command.js";
import { stateOf } from "../channel/member.js";
import type { Engine, MaybePromise, SessionPlace } from "../engine/engine.js";
import { PresenceError } from "../model/errors.js";
import type { Clock } from "../time/clock.js";
import { toMs } from "../wire/messages.js";
import type { Joined } from "../wire/write_response.js";
import { allowedChannel, checkRight, isOfApp } from "./access.js";
import { allOf, andThen } from "./at_once.js";
import type { UserCommand } from "./batch.js";
import type { CallRates } from "./call_rates.js";
import { actingUser, type Caller } from "./caller.js";
import type { Members, Result } from "./members.js";
import { newSessionId } from "./session_id.js";

/** What leases need. */
export interface LeasesOptions {
  readonly engine: Engine;
  readonly members: Members;
  readonly rates: CallRates;
  readonly clock: Clock;
  /** Life of a lease between heartbeats, in ms, where the request does not say (S17). Default 30000. */
  readonly leaseTtlMs: number;
}

/** The use cases of back ends that hold no stream per user (S17). */
export class Leases {
  constructor(private readonly options: LeasesOptions) {}

  /** S17. */
  async join(caller: Caller, request: pb.JoinChannelRequest): Promise<Joined> {
    const { channel, userId, command } = this.joining(caller, request);
    return andThen(this.options.members.start(channel, userId, command), (result) => joined(result, command));
  }

  /** What a join asks for, and that its caller may; throws as the join does. */
  joining(caller: Caller, request: pb.JoinChannelRequest): UserCommand<Join> {
    const { rates, leaseTtlMs } = this.options;
    const userId = actingUser(caller, request.userId);
    rates.actingFor(caller, userId);
    const channel = allowedChannel(caller, request.channel!, "write");
    const command: Join = {
      kind: "join",
      sessionId: newSessionId(),
      session: { kind: "lease", ttlMs: request.ttl ? toMs(request.ttl) : leaseTtlMs },
      resume: undefined,
      deviceId: request.deviceId,
      initialStates: request.initialStates,
    };
    return { channel, userId, command };
  }

  /** S17. Refused as a whole when one of the sessions is another user's than the caller. */
  async heartbeat(caller: Caller, { sessionIds, ttl }: pb.HeartbeatRequest): Promise<pb.HeartbeatResponse> {
    const { engine, members, rates, clock } = this.options;
    rates.renewals(caller, sessionIds.length);
    const kept = sessionIds.map((sessionId) => members.keptLease(sessionId));
    const finding = allOf(sessionIds.map((sessionId, i) => kept[i]?.place ?? engine.findSession(sessionId)));
    const found = finding instanceof Promise ? await finding : finding;
    // Another app's sessions are as unknown as those that never were.
    const places = found.map((place) => (place && isOfApp(caller, place.channel) ? place : undefined));
    for (const place of places) {
      if (!place) continue;
      actingUser(caller, place.userId);
      checkRight(caller, place.channel, "write");
    }
    const ttlMs = ttl && toMs(ttl);
    const { tick } = clock.now();
    const renewing = allOf(
      sessionIds.map((sessionId, i) => {
        const place = places[i];
        return place !== undefined && (kept[i]?.putOff(ttlMs, tick) || this.#renew(place, sessionId, ttlMs));
      }),
    );
    const renewed = renewing instanceof Promise ? await renewing : renewing;
    return create(pb.HeartbeatResponseSchema, { expiredSessionIds: sessionIds.filter((_, i) => !renewed[i]) });
  }

  /** S2. */
  async leave(caller: Caller, request: pb.LeaveChannelRequest): Promise<pb.LeaveChannelResponse> {
    const { members, rates } = this.options;
    const userId = actingUser(caller, request.userId);
    rates.actingFor(caller, userId);
    // Whoever could come in by either right can go.
    await members.run(allowedChannel(caller, request.channel!, "subscribe", "write"), userId, {
      kind: "leave",
      sessionId: request.sessionId === "" ? undefined : request.sessionId,
      attachment: undefined,
    });
    return create(pb.LeaveChannelResponseSchema);
  }

  /** Whether there was a lease to renew. */
  #renew(place: SessionPlace, sessionId: string, ttlMs: number | undefined): MaybePromise<boolean> {
    try {
      const renewing = this.options.members.renew(place, sessionId, ttlMs);
      return renewing instanceof Promise ? renewing.then(yes, noSession) : true;
    } catch (error) {
      return noSession(error);
    }
  }
}

const yes = (): boolean => true;

/** A session that is over, or is no lease, is one that could not be renewed; everything else is a failure. */
function noSession(error: unknown): boolean {
  if (error instanceof PresenceError && error.reason === "SESSION_NOT_FOUND") return false;
  throw error;
}

/** The answer to a join by a lease. */
export function joined({ member, position }: Result, { sessionId }: Join): Joined {
  return { sessionId, state: stateOf(member), position };
}
