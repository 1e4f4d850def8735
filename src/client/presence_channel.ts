import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { onAbort } from "./abort.js";
import { listOf, pairs, text } from "./arguments.js";
import type {
  CallOptions,
  JoinOptions,
  LeaveOptions,
  OnlineFilter,
  OnlineUsersOptions,
  SetStateOptions,
  SubscribeOptions,
} from "./channel_options.js";
import type { Connection } from "./connection.js";
import { deferred } from "./deferred.js";
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
import { type ReconnectPolicy, reconnectPolicy } from "./reconnect.js";
import { Subscription } from "./subscription.js";
import type { ChannelId, Lease, StateResult, UserState } from "./types.js";
import type { Write } from "./write_queue.js";

/** What a PresenceChannel is made of. */
export interface PresenceChannelParts extends ChannelId {
  readonly userId: string;
  readonly connection: Connection;
  /** The client's open subscriptions, to all of its channels. */
  readonly subscriptions: Set<Subscription>;
  /** How a subscription comes back that does not say so itself. */
  readonly reconnect: ReconnectPolicy | undefined;
  /** The label of sessions that have none of their own. */
  readonly deviceId: string | undefined;
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
  readonly #deviceId: string | undefined;
  /** The sessions of leases that `join` made and `leave` has not ended. */
  readonly #leases = new Set<string>();

  constructor({ type, name, userId, connection, subscriptions, reconnect, deviceId }: PresenceChannelParts) {
    this.type = type;
    this.name = name;
    this.userId = userId;
    this.#connection = connection;
    this.#rpc = connection.rpc;
    this.#subscriptions = subscriptions;
    this.#reconnect = reconnect;
    this.#deviceId = deviceId;
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
      // One's own events keep `members` right; the subscription hides those that were not asked for.
      includeSelf: withPresence === false ? includeSelf : true,
      initialStates: initialStates ?? {},
      presenceTimeout: presenceTimeoutMs === undefined ? undefined : durationFromMs(presenceTimeoutMs),
      leaveOnCancel,
      sessionId,
      deviceId: given.deviceId ?? this.#deviceId,
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
      leave: (session) => this.#leaveSoon(session),
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
    const { initialStates, ttlMs, signal, deviceId = this.#deviceId } = joinOptions(options, "join: options");
    signal?.throwIfAborted();
    const ttl = ttlMs === undefined ? undefined : durationFromMs(ttlMs);
    // Not cancelled by the signal: a call that is cancelled early may reach the server all the same, and make a lease.
    const joining = this.#rpc.joinChannel({ ...this.#who(), initialStates, ttl, deviceId }, {}).then(leaseOf);
    const aborted = deferred<never>();
    const unfollow = signal && onAbort(signal, () => aborted.reject(signal.reason));
    try {
      const lease = await Promise.race([joining, aborted.promise]);
      this.#leases.add(lease.sessionId);
      return lease;
    } catch (error) {
      void joining.then(({ sessionId }) => this.#leaveSession(sessionId)).catch(ignore);
      throw error;
    } finally {
      unfollow?.();
    }
  }

  /**
   * Ends sessions of the user in the channel: by default those of this client, which are its subscriptions and the
   * leases that `join` of this object made. With `all`, those of other clients and devices too.
   *
   * @throws TypeError for an argument that is not allowed, before anything is sent.
   * @throws PresenceError `SESSION_NOT_FOUND` when there is none; nothing is sent then unless `all` or `sessionId` is given.
   */
  async leave(options: LeaveOptions = {}): Promise<void> {
    const { sessionId, all, signal } = leaveOptions(options, "leave: options");
    if (all || sessionId !== undefined) return this.#leaveSession(sessionId, signal);
    const subscriptions = [...this.#subscriptions].filter((subscription) => subscription.isOf(this, this.userId));
    if (subscriptions.length + this.#leases.size === 0) {
      const message = `this client has no session in channel ${this.name}`;
      throw new PresenceError(message, { code: "NOT_FOUND", reason: "SESSION_NOT_FOUND" });
    }
    await Promise.all([
      ...subscriptions.map((subscription) => subscription.close()),
      ...[...this.#leases].map((lease) => this.#leaveSession(lease, signal).catch(unlessNotFound)),
    ]);
  }

  /** Whether the session is over, after `LEAVE_TIMEOUT_MS` at most. A connection that is lost is waited for. */
  async #leaveSoon(session: string): Promise<boolean> {
    const signal = AbortSignal.timeout(LEAVE_TIMEOUT_MS);
    for (;;) {
      try {
        await this.#leaveSession(session, signal);
        return true;
      } catch (error) {
        if (!(error instanceof PresenceError)) return false;
        if (isSessionNotFound(error)) return true;
        if (error.reason !== undefined || error.code !== "UNAVAILABLE") return false;
      }
      const usable = await this.#connection.usable(signal).then(
        () => true,
        () => false,
      );
      if (!usable) return false;
    }
  }

  /** Undefined: all sessions of the user. */
  async #leaveSession(sessionId: string | undefined, signal?: AbortSignal): Promise<void> {
    const request = { ...this.#who(), sessionId };
    const failure = await this.#rpc.leaveChannel(request, { signal }).then(ignore, (error: unknown) => ({ error }));
    if (!failure || isSessionNotFound(failure.error)) {
      if (sessionId === undefined) this.#leases.clear();
      else this.#leases.delete(sessionId);
    }
    if (failure) throw failure.error;
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
        return this.#restore(write.lost, signal);
    }
  }

  /**
   * Sets the keys that the user's state lacks. What the state has is newer. A user that stayed present by another session
   * keeps its state: a key that it lacks was removed.
   */
  async #restore(lost: UserState, signal: AbortSignal | undefined): Promise<StateResult> {
    const { userId } = lost;
    const request = { channel: channelMessageOf(this), userIds: [userId], includeStates: true };
    for (let tries = 1; ; tries++) {
      const { users, position } = await this.#rpc.listOnlineUsers(request, { signal });
      const state = userStateOf(users[0]);
      const missing = Object.entries(lost.states).filter(([key]) => !Object.hasOwn(state.states, key));
      const stayed = state.joinTime?.getTime() === lost.joinTime?.getTime();
      if (stayed || missing.length === 0) return this.#took({ state, pending: false, position: positionOf(position) });
      try {
        const states = Object.fromEntries(missing);
        return await this.#send({ kind: "set", states, expectedRevision: state.revision }, signal);
      } catch (error) {
        const overtaken = error instanceof PresenceError && error.reason === "STATE_REVISION_MISMATCH";
        if (!overtaken || tries === MOST_RESTORES) throw error;
      }
    }
  }

  #took(result: StateResult): StateResult {
    for (const subscription of this.#subscriptions) {
      if (subscription.isOf(this, this.userId)) subscription.takeOwnState(result);
    }
    return result;
  }
}

const ignore = (): void => {};

function isSessionNotFound(error: unknown): boolean {
  return error instanceof PresenceError && error.reason === "SESSION_NOT_FOUND";
}

function unlessNotFound(error: unknown): void {
  if (!isSessionNotFound(error)) throw error;
}

/** How often a restore reads the state again because another writer changed it in between. */
const MOST_RESTORES = 5;

/** How long `close()` waits for the answer to LeaveChannel, in milliseconds. */
const LEAVE_TIMEOUT_MS = 1_000;
