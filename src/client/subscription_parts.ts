import type { SubscribePresenceResponse } from "../../gen/presence/v1/presence_service_pb.js";
import type { ReconnectPolicy } from "./reconnect.js";
import type { SubscriptionStatus } from "./status.js";
import type { Subscription } from "./subscription.js";
import type { ChannelId, Position, UserState } from "./types.js";
import type { Send } from "./write_queue.js";

/** A point to take a stream up from: a position, and who was present there. An earlier Subscription is one. */
export interface ResumePoint {
  readonly position: Position | undefined;
  readonly members: ReadonlyMap<string, UserState>;
}

/** Where a stream that was lost is taken up again (S4, S16). */
export interface Return {
  readonly sessionId: string;
  /** Undefined where nothing is held yet, or without presence. */
  readonly resumeFrom: Position | undefined;
}

/** What a Subscription is made of. */
export interface SubscriptionParts {
  readonly channel: ChannelId;
  /** Who takes part; empty for the one that the server takes the caller for. */
  readonly userId: string;
  /** Whether the user is invisible, and has no state here. */
  readonly quiet: boolean;
  readonly initialStates: Readonly<Record<string, string>>;
  /** Whether snapshot and events are asked for. */
  readonly withPresence: boolean;
  /** Whether the stream brings one's own events too. */
  readonly includeSelf: boolean;
  readonly resumeFrom?: ResumePoint;
  /** Ends the subscription as `close()` does; iteration, `ready` and `closed` fail at once with its reason. */
  readonly signal?: AbortSignal;
  /** How to come back when the stream was lost; undefined: that is the end. */
  readonly reconnect: ReconnectPolicy | undefined;
  /** Told of each new status, before anything else hears of what led to it. */
  readonly onStatus: ((status: SubscriptionStatus) => void) | undefined;
  /** Starts the stream, or one that goes on where another was lost; aborting the signal cancels it. */
  open(from: Return | undefined, signal: AbortSignal): AsyncIterable<SubscribePresenceResponse>;
  /** Resolves when the connection is there again, or is being made. */
  usable(signal: AbortSignal): Promise<void>;
  /** What may be the cause where no stream begins in time, for the error message. */
  describeSilence(): string;
  /** Carries out a change of the user's state. */
  readonly send: Send;
  /** Ends a session by LeaveChannel; resolves with whether it is over, after one second at most. */
  leave(sessionId: string): Promise<boolean>;
  /** Makes a call that the server reads after the cancel, whatever its answer: only then is the cancel a leave at once. */
  confirmCancel(): Promise<void>;
  /** Called once, when the stream is over. */
  onEnd(subscription: Subscription): void;
}
