import type { ChannelId } from "../model/channel_id.js";
import type { Delta } from "../model/delta.js";
import type { PresenceError } from "../model/errors.js";
import type { Position } from "../model/position.js";
import type { UserState } from "../model/user_state.js";

/** One event of `repeated events`, ready to be laid beside others: tag, length, bytes. */
export type Piece = Uint8Array;

/** The body of one user's encoded state, without tag and length. */
export type StateBytes = Uint8Array;

/** A user as a snapshot takes it. Another object once anything about the user is different. */
export interface SnapshotUser {
  readonly state: UserState;
  /** Its encoded state, where that is kept. */
  bytes: StateBytes | undefined;
}

/** Called with the bytes of a stream's first SNAPSHOT, or of a feed's first round, as they are written. */
export type OnSnapshotBytes = (bytes: number) => void;

/** What SUBSCRIBED says (S15). */
export interface Terms {
  /** The user whose session it is. */
  readonly userId: string;
  readonly sessionId: string;
  readonly presenceTimeoutMs: number;
  readonly resumed: boolean;
  /** How many users are present at SUBSCRIBED's position. */
  readonly occupancy: number;
  /** How often an idle stream gets an empty message, in ms; 0: never. */
  readonly heartbeatMs: number;
}

/** Turns what happens in one life of one channel into bytes. */
export interface ChannelCodec {
  /** One change. `state` is the encoded state of a delta that carries one for its readers (kind `state`). */
  delta(delta: Delta, state: StateBytes | undefined): Piece;
  /** The opening of a stream, at `revision`, at `time` (ms since 1970). */
  subscribed(terms: Terms, revision: number, time: number): Piece;
  /** One chunk of a snapshot. */
  snapshot(content: SnapshotContent): SnapshotChunk;
  /** What changed in an interval, on balance. */
  interval(changes: IntervalChanges): Piece;
  /** Somebody is here where nobody was; at the revision of the join that `delta` is. Feeds alone tell it. */
  occupied(delta: Delta): Piece;
  /** Nobody is here any more; at the revision of the departure that `delta` is. Feeds alone tell it. */
  vacated(delta: Delta): Piece;
}

/** An INTERVAL, to be encoded (S18). */
export interface IntervalChanges {
  readonly joined: readonly string[];
  readonly left: readonly string[];
  readonly timedOut: readonly string[];
  readonly changed: readonly StateBytes[];
  readonly revision: number;
  /** When the interval ended, ms since 1970. */
  readonly time: number;
  readonly occupancy: number;
}

/** What a chunk of a snapshot is to say. */
export interface SnapshotContent {
  /** Encoded users, as `EventCodec.users` lays them side by side; they go into the chunk as they are. */
  readonly users: readonly Uint8Array[];
  readonly revision: number;
  /** When the snapshot was taken, ms since 1970. */
  readonly time: number;
  readonly occupancy: number;
  readonly last: boolean;
}

/**
 * A chunk of a snapshot: a piece, and a whole message. In parts that follow each other on the wire, because copying
 * the users of a large channel for everybody who joins it would cost more than sending them.
 */
export interface SnapshotChunk {
  readonly parts: readonly Uint8Array[];
  /** Bytes of all parts. */
  readonly length: number;
}

/** Makes the bytes that readers get. Fan-out lays them side by side and never looks inside. */
export interface EventCodec {
  forChannel(channel: ChannelId, epoch: string): ChannelCodec;
  state(state: UserState): StateBytes;
  /** Users as they stand side by side in a snapshot, in parts of at most `maxBytes`, or of one user. */
  users(users: readonly SnapshotUser[], maxBytes: number): readonly Uint8Array[];
}

/** Where the truth of a channel comes from: the part of the engine port that fan-out needs. */
export interface ChannelSource {
  /** Calls with every commit's deltas, in order, none left out, until the returned function is called. */
  watch(channel: ChannelId, onDeltas: (deltas: readonly Delta[]) => void): (() => void) | Promise<() => void>;
  /** Everybody who is present. */
  snapshot(channel: ChannelId): SourceSnapshot | Promise<SourceSnapshot>;
  /** The deltas after `from`, or `undefined` if they are not remembered. */
  replay(channel: ChannelId, from: Position): readonly Delta[] | undefined | Promise<readonly Delta[] | undefined>;
}

/** Everybody who is present, at one position. */
export interface SourceSnapshot {
  readonly position: Position;
  readonly users: readonly UserState[];
}

/** Where a reader's bytes go: one open stream. */
export interface Sink {
  /**
   * Takes a message for sending, always. False: take no more until `onDrain` is called; the caller must arm it before
   * its first write.
   */
  write(message: Uint8Array): boolean;
  /** The same for a message whose parts are sent as they are, one after the other; `length`: bytes of all parts. */
  writeParts(parts: readonly Uint8Array[], length: number): boolean;
  /**
   * From the first message on, sends an empty one whenever none was written for `intervalMs` and nothing is unsent. Not to
   * be called twice.
   */
  heartbeat(intervalMs: number): void;
  /** Called once each time that there is room again after `write` returned false. */
  onDrain: () => void;
  /** Ends the stream after what was written: with OK, or with an error. */
  end(error: PresenceError | undefined): void;
  /** Ends the stream of a client that reads nothing: with the error if it reads on in time, otherwise without. */
  abort(error: PresenceError): void;
}
