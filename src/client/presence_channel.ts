import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { listOf, pairs, text } from "./arguments.js";
import type { Connection } from "./connection.js";
import { channelMessageOf, leaseOf, positionOf, stateResultOf, userStateOf } from "./from_wire.js";
import {
  callOptions,
  joinOptions,
  leaveOptions,
  onlineFilter,
  onlineUsersOptions,
  setStateOptions,
  subscribeOptions,
} from "./option_checks.js";
import { pagesOf } from "./pages.js";
import { PresenceError } from "./presence_error.js";
import { type ReconnectOptions, type ReconnectPolicy, reconnectPolicy } from "./reconnect.js";
import type { SubscriptionStatus } from "./status.js";
import { Subscription } from "./subscription.js";
import type { ResumePoint } from "./subscription_parts.js";
import type { ChannelId, Lease, StateResult, UserState } from "./types.js";
import type { Write } from "./write_queue.js";

/** What every call takes. */
export interface CallOptions {
  /** Aborts the call, which then fails with the signal's reason: an `AbortError`, or a `TimeoutError` for `AbortSignal.timeout()`. */
  readonly signal?: AbortSignal;
}

/** How to change a state. */
export interface SetStateOptions extends CallOptions {
  /** The given map becomes the whole state, instead of being merged into it. Default: false. */
  readonly replace?: boolean;
  /**
   * Change only if the state's revision is this one, else `STATE_REVISION_MISMATCH` (S14). `0n`: nothing was set since the
   * join or, before it, nothing is pending.
   */
  readonly expectedRevision?: bigint;
}

/** How to take part in a channel. */
export interface SubscribeOptions extends CallOptions {
  /** Hear the snapshot and events; without, one is present and hears nothing (S6). Default: true. */
  readonly withPresence?: boolean;
  /** Hear everything and be invisible (S7). Default: false. */
  readonly quiet?: boolean;
  /** Hear one's own user's events too. Default: false. */
  readonly includeSelf?: boolean;
  /** State to set with the join, merged over what is pending (S12). */
  readonly initialStates?: Readonly<Record<string, string>>;
  /** How long to stay present after being lost, in milliseconds: 0 to 300 000 (S5). Default: the server's setting, 30 000. */
  readonly presenceTimeoutMs?: number;
  /**
   * Whether the server takes a cancelled stream for a leave (true) or a disconnect (false). `close()` sends LeaveChannel,
   * which is a leave in either case. Default: the server's setting, true.
   */
  readonly leaveOnCancel?: boolean;
  /** The session to take up again, from an earlier subscription (S4). */
  readonly sessionId?: string;
  /**
   * Where to go on: an earlier subscription, or its position and members. What was
   * missed comes as events while the server remembers it, else as a snapshot.
   */
  readonly resumeFrom?: ResumePoint;
  /** How to come back when the stream was lost; `false`: not at all, its failure ends the subscription. Default: the client's. */
  readonly reconnect?: ReconnectOptions | boolean;
  /**
   * Called with each new status, before the iteration receives what led to it. An error that it throws, or rejects with,
   * ends the subscription, which then calls it once more with `closed`; an error at `closed` is ignored.
   */
  readonly onStatus?: (status: SubscriptionStatus) => void;
}

/** Whom to ask about (S19). */
export interface OnlineFilter extends CallOptions {
  /** Only these users, in this order, each once: at most 1000. Default: everybody. */
  readonly userIds?: readonly string[];
  /** Only users whose state holds all of these pairs: at most 32. Default: whatever their state. */
  readonly states?: Readonly<Record<string, string>>;
}

/** How to list who is present. */
export interface OnlineUsersOptions extends OnlineFilter {
  /** Bring the states along. Default: false, and `states` is empty. */
  readonly includeStates?: boolean;
  /** How many users one call fetches: 1 to 1000. Default: 100. */
  readonly pageSize?: number;
}

/** How to be present without a stream (S17). */
export interface JoinOptions extends CallOptions {
  /** State to set with the join, merged over what is pending (S12). */
  readonly initialStates?: Readonly<Record<string, string>>;
  /** How long the lease lives without a heartbeat, in milliseconds: 1000 to 300 000. Default: 30 000. */
  readonly ttlMs?: number;
}

/** How to end sessions. */
export interface LeaveOptions extends CallOptions {
  /** Which session. Default: all of the user's sessions in the channel. */
  readonly sessionId?: string;
}

/** What a PresenceChannel is made of. */
export interface PresenceChannelParts extends ChannelId {
  readonly userId: string;
  readonly connection: Connection;
  /** The client's open subscriptions, to all of its channels. */
  readonly subscriptions: Set<Subscription>;
  /** How a subscription comes back that does not say so itself. */
  readonly reconnect: ReconnectPolicy | undefined;
}

/** One channel, as one user sees it. Made by `presence.channel()`; costs nothing until a call is made. */
export class PresenceChannel implements ChannelId {
  readonly type: ChannelId["type"];
  readonly name: string;
  /** Whose state and presence this object is about; empty for the one that the server takes the caller for. */
  readonly userId: string;

  readonly #connection: Connection;
  readonly #rpc: Connection["rpc"];
  readonly #subscriptions: Set<Subscription>;
  readonly #reconnect: ReconnectPolicy | undefined;

  constructor({ type, name, userId, connection, subscriptions, reconnect }: PresenceChannelParts) {
    this.type = type;
    this.name = name;
    this.userId = userId;
    this.#connection = connection;
    this.#rpc = connection.rpc;
    this.#subscriptions = subscriptions;
    this.#reconnect = reconnect;
  }

  /**
   * Sets keys of the user's own state: given keys are added or overwritten, the
   * others stay; all or nothing (S9). Outside the channel the state is kept for the
   * join (`pending`, S12). While a subscription to the channel is coming back it
   * waits for that, together with other changes: then one call carries them.
   *
   * @throws TypeError for an argument that is not allowed, before anything is sent.
   * @throws PresenceError `STATE_COUNT_OVERFLOW`, `STATE_SIZE_OVERFLOW`,
   *   `CACHED_TOO_MANY_STATES`, `STATE_REVISION_MISMATCH`, and the `INVALID_ARGUMENT` family.
   */
  async setState(states: Readonly<Record<string, string>>, options: SetStateOptions = {}): Promise<StateResult> {
    const given = pairs(states, "setState: states");
    const { replace, expectedRevision, signal } = setStateOptions(options, "setState: options");
    return this.#write({ kind: "set", states: given, replace, expectedRevision }, signal);
  }

  /**
   * Deletes keys of the user's own state, or all of them when none are named. The
   * user stays present with what is left (S10). Waits as `setState` does.
   *
   * @throws TypeError for an argument that is not allowed, before anything is sent.
   */
  async removeState(keys: readonly string[] = [], options: CallOptions = {}): Promise<StateResult> {
    const given = listOf(text)(keys, "removeState: keys");
    const { signal } = callOptions(options, "removeState: options");
    return this.#write({ kind: "remove", keys: given }, signal);
  }

  /**
   * Reads a user's state, from inside the channel or outside (S13). Default: one's own.
   *
   * @throws TypeError for an argument that is not allowed, before anything is sent.
   * @throws PresenceError `PRESENCE_USER_NOT_EXIST` when the user is not present.
   */
  async getState(userId: string = this.userId, options: CallOptions = {}): Promise<UserState> {
    const request = { ...this.#who(), userId: text(userId, "getState: userId") };
    const response = await this.#rpc.getState(request, callOptions(options, "getState: options"));
    return userStateOf(response.state);
  }

  /**
   * Joins the channel and hears, until it is closed, who is there and what
   * changes (S15). The stream is opened at once, and again when it is lost; a
   * failure that waiting does not cure is told by the iteration, `ready` and `closed`.
   *
   * @throws TypeError for an argument that is not allowed, before anything is sent.
   */
  subscribe(options: SubscribeOptions = {}): Subscription {
    const given = subscribeOptions(options, "subscribe: options");
    const { withPresence, quiet, includeSelf, initialStates, presenceTimeoutMs, leaveOnCancel, sessionId } = given;
    const request = {
      ...this.#who(),
      withPresence,
      quiet,
      includeSelf,
      initialStates: initialStates ?? {},
      presenceTimeout: presenceTimeoutMs === undefined ? undefined : durationFromMs(presenceTimeoutMs),
      leaveOnCancel,
      sessionId,
      resumeFrom: given.resumeFrom?.position,
    };
    const subscription = new Subscription({
      channel: { type: this.type, name: this.name },
      userId: this.userId,
      quiet: quiet ?? false,
      initialStates: request.initialStates,
      withPresence: withPresence ?? true,
      includeSelf: includeSelf ?? false,
      resumeFrom: given.resumeFrom?.position && given.resumeFrom,
      signal: given.signal,
      reconnect: given.reconnect === undefined ? this.#reconnect : reconnectPolicy(given.reconnect),
      onStatus: given.onStatus,
      // The state to join with is set by now, or was changed since.
      open: (from, signal) =>
        this.#rpc.subscribePresence(from ? { ...request, ...from, initialStates: {} } : request, { signal }),
      usable: (signal) => this.#connection.usable(signal),
      describeSilence: () => this.#connection.describeSilence(),
      send: (write, signal) => this.#send(write, signal),
      leave: (session) =>
        this.leave({ sessionId: session, signal: AbortSignal.timeout(LEAVE_TIMEOUT_MS) }).then(
          () => true,
          (error) => error instanceof PresenceError && error.reason === "SESSION_NOT_FOUND",
        ),
      confirmCancel: () => this.count({ signal: AbortSignal.timeout(LEAVE_TIMEOUT_MS) }).then(ignore, ignore),
      onEnd: (ended) => this.#subscriptions.delete(ended),
    });
    this.#subscriptions.add(subscription);
    return subscription;
  }

  /**
   * Who is present, in the order in which they joined, without joining (S19). Fetches page after page as it is iterated.
   *
   * @throws TypeError for an argument that is not allowed, before anything is sent.
   */
  onlineUsers(options: OnlineUsersOptions = {}): AsyncGenerator<UserState, void, undefined> {
    return this.#onlineUsers(onlineUsersOptions(options, "onlineUsers: options"));
  }

  async *#onlineUsers(options: OnlineUsersOptions): AsyncGenerator<UserState, void, undefined> {
    const { includeStates, pageSize, signal } = options;
    const request = { ...this.#about(options), includeStates, pageSize };
    for await (const page of pagesOf((pageToken) => this.#rpc.listOnlineUsers({ ...request, pageToken }, { signal }))) {
      for (const user of page.users) yield userStateOf(user);
    }
  }

  /**
   * How many users are present, or of those asked for. Without `states` it costs the same whatever the channel's size (S19).
   *
   * @throws TypeError for an argument that is not allowed, before anything is sent.
   */
  async count(options: OnlineFilter = {}): Promise<number> {
    const filter = onlineFilter(options, "count: options");
    const request = { ...this.#about(filter), countOnly: true };
    return (await this.#rpc.listOnlineUsers(request, { signal: filter.signal })).totalSize;
  }

  /**
   * Makes the user present without a stream, for as long as `presence.heartbeat()` renews the lease (S17).
   *
   * @throws TypeError for an argument that is not allowed, before anything is sent.
   */
  async join(options: JoinOptions = {}): Promise<Lease> {
    const { initialStates, ttlMs, signal } = joinOptions(options, "join: options");
    const ttl = ttlMs === undefined ? undefined : durationFromMs(ttlMs);
    const request = { ...this.#who(), initialStates, ttl };
    return leaseOf(await this.#rpc.joinChannel(request, { signal }));
  }

  /**
   * Ends a session of the user's, or all of them, wherever their streams are (S2).
   *
   * @throws TypeError for an argument that is not allowed, before anything is sent.
   * @throws PresenceError `SESSION_NOT_FOUND` when there is none.
   */
  async leave(options: LeaveOptions = {}): Promise<void> {
    const { sessionId, signal } = leaveOptions(options, "leave: options");
    await this.#rpc.leaveChannel({ ...this.#who(), sessionId }, { signal });
  }

  #about({ userIds = [], states }: OnlineFilter) {
    return { channel: channelMessageOf(this), userIds: [...userIds], states: { ...states } };
  }

  #who(): { channel: ReturnType<typeof channelMessageOf>; userId: string } {
    return { channel: channelMessageOf(this), userId: this.userId };
  }

  #write(write: Write, signal: AbortSignal | undefined): Promise<StateResult> {
    for (const subscription of this.#subscriptions) {
      if (subscription.isOf(this, this.userId)) return subscription.write(write, signal);
    }
    return this.#send(write, signal);
  }

  async #send(write: Write, signal: AbortSignal | undefined): Promise<StateResult> {
    switch (write.kind) {
      case "set": {
        const { states, replace, expectedRevision } = write;
        const request = { ...this.#who(), states: { ...states }, replace, expectedRevision };
        return this.#took(stateResultOf(await this.#rpc.setState(request, { signal })));
      }
      case "remove":
        return this.#took(
          stateResultOf(await this.#rpc.removeState({ ...this.#who(), keys: [...write.keys] }, { signal })),
        );
      case "restore":
        return this.#restore(write.states, signal);
    }
  }

  /** Revision 0: nobody set anything since the user joined anew. Otherwise what was set since is the newer. */
  async #restore(states: Readonly<Record<string, string>>, signal: AbortSignal | undefined): Promise<StateResult> {
    try {
      return await this.#send({ kind: "set", states, expectedRevision: 0n }, signal);
    } catch (error) {
      if (!(error instanceof PresenceError) || error.reason !== "STATE_REVISION_MISMATCH") throw error;
    }
    const { position } = await this.#rpc.listOnlineUsers(
      { channel: channelMessageOf(this), countOnly: true },
      { signal },
    );
    const { state } = await this.#rpc.getState(this.#who(), { signal });
    return this.#took({ state: userStateOf(state), pending: false, position: positionOf(position) });
  }

  #took(result: StateResult): StateResult {
    for (const subscription of this.#subscriptions) {
      if (subscription.isOf(this, this.userId)) subscription.takeOwnState(result);
    }
    return result;
  }
}

const ignore = (): void => {};

/** How long `close()` waits for the answer to LeaveChannel, in milliseconds. */
const LEAVE_TIMEOUT_MS = 1_000;
