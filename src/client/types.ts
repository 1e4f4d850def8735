/**
 * The two worlds of channels: the same name under another type is another
 * channel, with other users and other states.
 */
export type ChannelType = "message" | "stream";

/** What names a channel. */
export interface ChannelId {
  /** Which of the two worlds. */
  readonly type: ChannelType;
  /** 1 to 128 bytes of UTF-8, no control characters. */
  readonly name: string;
}

/**
 * A point in a channel's history. Two positions can be compared only when their
 * epochs are equal; within an epoch the higher revision is the later one.
 */
export interface Position {
  /** Names one life of the channel's history. Opaque. */
  readonly epoch: string;
  /** Grows by exactly 1 with every change to the channel; an epoch begins above those before it. 64 bits, hence a bigint; `JSON.stringify` writes it as a decimal string. */
  readonly revision: bigint;
}

/** What one present user carries in one channel. */
export interface UserState {
  /** Whose state it is. */
  readonly userId: string;
  /** The whole state, never a part of it; `{}` for a user that is present without state. */
  readonly states: Readonly<Record<string, string>>;
  /**
   * The number of this state, to be sent back as `expectedRevision`. Other than
   * `0n` it names one state for ever: no other state of a user of the channel has
   * it, not even after a restart of the server. Of a present user it is the
   * channel's revision at the last change; of a pending state 2^52 or more. `0n`:
   * nothing was set since the join, or nothing is pending.
   */
  readonly revision: bigint;
  /** When the state last changed, by the server's clock; absent while nothing was ever set, or when only the join is known. */
  readonly updateTime?: Date;
  /** When the user became present, by the server's clock; absent for a pending state. */
  readonly joinTime?: Date;
  /**
   * No session of the user in the channel is attached: its streams were lost, and it stays present until the presence
   * timeout. Only in results of `getState`, `onlineUsers` and `channelsOf`, as of the answer, and absent unless true.
   */
  readonly detached?: true;
}

/** The answer to a change of one's own state. */
export interface StateResult {
  /** The whole state after the call. */
  readonly state: UserState;
  /**
   * The user is not in the channel: the state waits for the join, invisible to
   * others, until `pendingExpireTime`.
   */
  readonly pending: boolean;
  /** When the pending state is forgotten, by the server's clock; absent when nothing is pending. */
  readonly pendingExpireTime?: Date;
  /** The channel's position after the call. */
  readonly position: Position;
}

/** A channel where a user is present, and its state there. */
export interface UserChannel {
  /** Which channel. */
  readonly channel: ChannelId;
  /** The user's state in it. */
  readonly state: UserState;
}

/** A lease: presence without a stream, kept alive by heartbeats (S17). */
export interface Lease {
  /** What to renew and to leave with. As good as a key: do not show it to others. */
  readonly sessionId: string;
  /** The user's whole state after the join. */
  readonly state: UserState;
  /** The channel's position after the join. */
  readonly position: Position;
}
