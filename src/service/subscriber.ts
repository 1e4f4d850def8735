import type { Duration } from "@bufbuild/protobuf/wkt";
import type * as pb from "../../gen/presence/v1/presence_service_pb.js";
import type { Join } from "../channel/command.js";
import type { StreamSession } from "../channel/member.js";
import type { Engine } from "../engine/engine.js";
import type { Hub } from "../fanout/hub.js";
import type { EventCodec, OnSnapshotBytes, Sink, Terms } from "../fanout/ports.js";
import type { Reader, ReaderOptions } from "../fanout/reader.js";
import { type ChannelId, channelKey } from "../model/channel_id.js";
import { PresenceError } from "../model/errors.js";
import { tokenExpired } from "../model/unauthenticated.js";
import type { Clock } from "../time/clock.js";
import { toMs, toPosition } from "../wire/messages.js";
import { allowedChannel, checkRight, isOfApp } from "./access.js";
import type { CallRates } from "./call_rates.js";
import type { Caller } from "./caller.js";
import type { Members, Result } from "./members.js";
import { newSessionId } from "./session_id.js";
import type { ServiceSettings } from "./settings.js";
import type { Streams } from "./streams.js";
import type { TokenExpiry } from "./token_expiry.js";

/** How a stream came to its end, when it was not the server that ended it. */
export type StreamEnd = "cancelled" | "lost";

/** A stream that has been let in. The methods do nothing after the server has ended it. */
export interface Subscription {
  /** The client ended the stream; `closed` follows. Nothing more is written to it. */
  stop(): void;
  /** Leaves or detaches. `since` is when the client ended the stream, a tick of the clock. Default: now. */
  closed(how: StreamEnd, since?: number): Promise<void>;
}

/** What subscribing needs. */
export interface SubscriberOptions {
  readonly engine: Engine;
  readonly hub: Hub;
  readonly codec: EventCodec;
  readonly clock: Clock;
  readonly settings: ServiceSettings;
  readonly members: Members;
  readonly rates: CallRates;
  readonly streams: Streams;
  readonly expiry: TokenExpiry;
  readonly onError: (error: unknown) => void;
}

/** The use case SubscribePresence: joins, attaches a stream, and lets go of it again. */
export class Subscriber {
  readonly #byReader = new WeakMap<Reader, AttachedStream>();
  #refusing = false;

  constructor(private readonly options: SubscriberOptions) {}

  /** Joins as `userId`, for whom the caller may act, and begins to write to `sink`. */
  async subscribe(
    caller: Caller,
    userId: string,
    request: pb.SubscribePresenceRequest,
    sink: Sink,
  ): Promise<Subscription> {
    const { members, settings, streams, expiry, rates } = this.options;
    const channel = allowedChannel(caller, request.channel!, "subscribe");
    if (Object.keys(request.initialStates).length > 0) checkRight(caller, channel, "write");
    if (this.#refusing) throw draining(settings.drainJitterMs);
    const isReturn = await this.#isReturn(caller, channel, userId, request.sessionId);
    const onSnapshotBytes = rates.stream(caller, userId, isReturn);
    const join: Join = {
      kind: "join",
      sessionId: newSessionId(),
      session: {
        kind: "stream",
        quiet: request.quiet,
        timeoutMs: request.presenceTimeout ? toMs(request.presenceTimeout) : settings.presenceTimeoutMs,
      },
      resume: request.sessionId === "" ? undefined : request.sessionId,
      deviceId: request.deviceId,
      initialStates: request.initialStates,
    };
    let attached: AttachedStream | undefined;
    const result = await members.run(channel, userId, join, ({ outcome }) => {
      const session = outcome.joined!.session as StreamSession;
      const leaveOnCancel = request.leaveOnCancel ?? settings.leaveOnCancel;
      attached = new AttachedStream(this.options, channel, userId, session, leaveOnCancel);
      // Here and not later, so that whoever ends the session from now on finds its stream.
      streams.add(session.id, attached);
      expiry.watch(attached, caller.grant);
    });
    const stream = attached!;
    try {
      stream.follow(await this.#attach(channel, userId, request, result, sink, onSnapshotBytes));
    } catch (error) {
      await stream.closed("lost");
      throw error;
    }
    if (stream.reader) this.#byReader.set(stream.reader, stream);
    // The fan-out may have given it up before we knew of it.
    if (stream.reader?.state === "closed") stream.dropped();
    // Going down may have begun while the engine was at work.
    if (this.#refusing)
      streams.end(result.outcome.joined!.session.id, stream.attachment, draining(settings.drainJitterMs));
    return stream;
  }

  /** The fan-out gave a reader up; its stream is over, its session is a drop. */
  readerDropped(reader: Reader): void {
    this.#byReader.get(reader)?.dropped();
  }

  /** Lets nobody in any more (S24). */
  refuseAll(): void {
    this.#refusing = true;
  }

  /** Whether the session is one of the user's in this channel. Throws NOT_ALLOWED if it is another user's. */
  async #isReturn(caller: Caller, channel: ChannelId, userId: string, sessionId: string): Promise<boolean> {
    if (sessionId === "") return false;
    const place = await this.options.engine.findSession(sessionId);
    if (!place || !isOfApp(caller, place.channel)) return false;
    if (place.userId !== userId) {
      throw new PresenceError("NOT_ALLOWED", "session_id: belongs to another user", { metadata: { user_id: userId } });
    }
    return channelKey(place.channel) === channelKey(channel);
  }

  async #attach(
    channel: ChannelId,
    userId: string,
    request: pb.SubscribePresenceRequest,
    result: Result,
    sink: Sink,
    onSnapshotBytes: OnSnapshotBytes | undefined,
  ): Promise<{ readonly reader: Reader | undefined; readonly sink: Sink }> {
    const { hub, engine, codec, clock, settings } = this.options;
    const { session, resumed } = result.outcome.joined!;
    const presenceTimeoutMs = (session as StreamSession).timeoutMs;
    const heartbeatMs = heartbeatInForce(request.heartbeatInterval, settings.streamHeartbeatMs);
    if (heartbeatMs > 0) sink.heartbeat(heartbeatMs);
    const { occupancy } = result;
    const terms: Terms = { userId, sessionId: session.id, presenceTimeoutMs, resumed, occupancy, heartbeatMs };
    const time = clock.now().wall;
    const { epoch, revision } = result.position;
    if (request.withPresence === false) {
      sink.write(codec.forChannel(channel, epoch).subscribed(terms, revision, time));
      return { reader: undefined, sink };
    }
    let missed: ReaderOptions["missed"];
    if (request.resumeFrom) {
      const from = toPosition(request.resumeFrom);
      const deltas = await engine.replay(channel, from);
      missed = deltas && { from: from.revision, deltas };
    }
    const options = { userId, includeSelf: request.includeSelf, terms, revision, time, missed, onSnapshotBytes };
    return { reader: hub.subscribe(channel, options, sink), sink };
  }
}

/** One attachment of a session to a stream of this server, from the join to the end of either. */
class AttachedStream implements Subscription {
  #target: { readonly reader: Reader | undefined; readonly sink: Sink } | undefined;
  /** Ended before there was anything to end: `error` is what to end it with. */
  #endedEarly: { readonly error: PresenceError | undefined } | undefined;
  /** `stopped`: the client ended it, and what becomes of the session is not decided. */
  #state: "open" | "stopped" | "over" = "open";

  constructor(
    private readonly options: SubscriberOptions,
    private readonly channel: ChannelId,
    private readonly userId: string,
    private readonly session: StreamSession,
    private readonly leaveOnCancel: boolean,
  ) {}

  get attachment(): number {
    return this.session.attachment;
  }

  get reader(): Reader | undefined {
    return this.#target?.reader;
  }

  /** Says where the events go, as soon as that is known. */
  follow(target: { readonly reader: Reader | undefined; readonly sink: Sink }): void {
    this.#target = target;
    if (this.#endedEarly) this.#endTarget(this.#endedEarly.error);
  }

  /** The server ends the stream; whoever calls knows what that makes of the session. */
  end(error: PresenceError | undefined): void {
    if (this.#state !== "open") return;
    this.#state = "over";
    this.options.expiry.forget(this);
    if (this.#target) this.#endTarget(error);
    else this.#endedEarly = { error };
    // Where the session was ended before its stream, this finds nothing to detach.
    this.#detach().catch(this.options.onError);
  }

  expire(): void {
    this.options.streams.end(this.session.id, this.session.attachment, tokenExpired());
  }

  /** The fan-out ended the stream. */
  dropped(): void {
    this.closed("lost").catch(this.options.onError);
  }

  stop(): void {
    if (this.#state !== "open") return;
    this.#state = "stopped";
    this.options.expiry.forget(this);
    this.#target?.reader?.detach();
    this.options.streams.remove(this.session.id, this.session.attachment);
  }

  async closed(how: StreamEnd, since?: number): Promise<void> {
    this.stop();
    if (this.#state === "over") return;
    this.#state = "over";
    if (how === "cancelled" && this.leaveOnCancel) {
      const { id, attachment } = this.session;
      await this.options.members.run(this.channel, this.userId, { kind: "leave", sessionId: id, attachment });
    } else {
      await this.#detach(since);
    }
  }

  #endTarget(error: PresenceError | undefined): void {
    const { reader, sink } = this.#target!;
    if (reader) reader.end(error);
    else sink.end(error);
  }

  async #detach(since?: number): Promise<void> {
    const { id, attachment } = this.session;
    await this.options.members.run(this.channel, this.userId, { kind: "detach", sessionId: id, attachment, since });
  }
}

/** The shorter of what the request asks for and the setting, in ms; 0: neither. */
export function heartbeatInForce(asked: Duration | undefined, settingMs: number): number {
  if (!asked) return settingMs;
  return settingMs > 0 ? Math.min(toMs(asked), settingMs) : toMs(asked);
}

/** Sends a client away for a random time, so that not all come back at once (S24). */
export function draining(jitterMs: number): PresenceError {
  return new PresenceError("SERVER_DRAINING", "the server is going down; come back, perhaps to another one", {
    retryAfterMs: Math.ceil(Math.random() * jitterMs),
  });
}
