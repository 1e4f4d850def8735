import { durationFromMs } from "@bufbuild/protobuf/wkt";
import { listOf, text } from "./arguments.js";
import {
  type BatchAnswer,
  type BatchResult,
  type JoinEntry,
  joinMany,
  type SetStateEntry,
  setStates,
} from "./batches.js";
import type { CallOptions } from "./channel_options.js";
import type { Connection, ConnectionOptions } from "./connection.js";
import { connect } from "./connection.js";
import { Feed, type WatchChannelsOptions } from "./feed.js";
import { channelIdOf, channelMessageOf, userStateOf } from "./from_wire.js";
import { withJson } from "./json.js";
import {
  callOptions,
  channelOptions,
  channelsOfOptions,
  clientOptions,
  heartbeatOptions,
  joinEntries,
  setStateEntries,
  watchChannelsOptions,
} from "./option_checks.js";
import { pagesOf } from "./pages.js";
import { PresenceChannel } from "./presence_channel.js";
import { type ReconnectOptions, type ReconnectPolicy, reconnectPolicy } from "./reconnect.js";
import type { Subscription } from "./subscription.js";
import type { ChannelType, Lease, StateResult, UserChannel } from "./types.js";

/** Where to connect, and as whom. */
export interface PresenceClientOptions extends ConnectionOptions {
  /**
   * Who calls: 1 to 128 bytes of UTF-8, no control characters. May be left out where
   * the server knows the caller from a token (S20).
   */
  readonly userId?: string;
  /**
   * Which of the user's devices this is: 0 to 128 bytes of UTF-8, no control characters, such as an id that is kept on
   * the device. A join ends the user's sessions that were lost on the same device. Never shown to others. Default: none,
   * which counts as one device.
   */
  readonly deviceId?: string;
  /** How subscriptions and feeds reconnect when their streams were lost; `false`: not at all. Default: with ReconnectOptions' defaults. */
  readonly reconnect?: ReconnectOptions | boolean;
}

/** Which channel, and for whom. */
export interface ChannelOptions {
  /** Default: `message`. */
  readonly type?: ChannelType;
  /** Whose state and presence: for back ends that may act for others (S20). Default: the client's user. */
  readonly userId?: string;
}

/** How to renew leases. */
export interface HeartbeatOptions extends CallOptions {
  /** How long the leases live from now, in milliseconds: 1000 to 300 000. Default: the last one that each was given. */
  readonly ttlMs?: number;
}

/** How to list a user's channels. */
export interface ChannelsOfOptions extends CallOptions {
  /** How many channels one call fetches: 1 to 1000. Default: 100. */
  readonly pageSize?: number;
}

/** A user's connection to the service. Made by `createPresenceClient()`; connects with its first call. */
export class PresenceClient implements AsyncDisposable {
  /** Who calls; empty for the one that the server takes the caller for. */
  readonly userId: string;

  readonly #connection: Connection;
  readonly #subscriptions = new Set<Subscription>();
  readonly #reconnect: ReconnectPolicy | undefined;
  readonly #deviceId: string | undefined;
  readonly #feeds = new Set<Feed>();
  #closed: Promise<void> | undefined;

  constructor(options: PresenceClientOptions) {
    const given = clientOptions(options, "createPresenceClient: options");
    this.#reconnect = reconnectPolicy(given.reconnect);
    this.userId = given.userId ?? "";
    this.#deviceId = given.deviceId;
    this.#connection = connect(given);
  }

  /**
   * A channel to set state in, to ask about, and to subscribe to.
   *
   * @throws TypeError for an argument that is not allowed, before anything is sent.
   */
  channel(name: string, options: ChannelOptions = {}): PresenceChannel {
    const { type = "message", userId = this.userId } = channelOptions(options, "channel: options");
    return new PresenceChannel({
      type,
      name: text(name, "channel: name"),
      userId,
      connection: this.#connection,
      subscriptions: this.#subscriptions,
      reconnect: this.#reconnect,
      deviceId: this.#deviceId,
    });
  }

  /**
   * Where a user is present, ordered by type and name (S19). Default: oneself. Fetches page after page as it is iterated.
   *
   * @throws TypeError for an argument that is not allowed, before anything is sent.
   */
  channelsOf(
    userId: string = this.userId,
    options: ChannelsOfOptions = {},
  ): AsyncGenerator<UserChannel, void, undefined> {
    return this.#channelsOf(text(userId, "channelsOf: userId"), channelsOfOptions(options, "channelsOf: options"));
  }

  async *#channelsOf(
    userId: string,
    { pageSize, signal }: ChannelsOfOptions,
  ): AsyncGenerator<UserChannel, void, undefined> {
    for await (const page of pagesOf((pageToken) =>
      this.#connection.rpc.listUserChannels({ userId, pageSize, pageToken }, { signal }),
    )) {
      for (const { channel, state } of page.channels) {
        yield { channel: channelIdOf(channel), state: userStateOf(state) };
      }
    }
  }

  /**
   * What happens in many channels, without being in any: for back ends that hold the right to it (NOT_ALLOWED). Begins
   * with its iteration.
   *
   * @throws TypeError for an argument that is not allowed, before anything is sent.
   */
  watchChannels(options: WatchChannelsOptions = {}): Feed {
    const given = watchChannelsOptions(options, "watchChannels: options");
    const { prefix, withSnapshot, reconnect } = given;
    const request = { channels: given.channels?.map(channelMessageOf), prefix, withSnapshot };
    const { rpc, isConnected, usable, describeSilence } = this.#connection;
    return new Feed({
      signal: given.signal,
      policy: reconnect === undefined ? this.#reconnect : reconnectPolicy(reconnect),
      onStatus: given.onStatus,
      feeds: this.#feeds,
      open: (signal) => rpc.watchChannels(request, { signal }),
      isConnected,
      usable,
      describeSilence,
    });
  }

  /**
   * Renews 1 to 1000 leases. Returns those that could not be: unknown, ended, or no leases; join again with these (S17).
   *
   * @throws TypeError for an argument that is not allowed, before anything is sent.
   */
  async heartbeat(sessionIds: readonly string[], options: HeartbeatOptions = {}): Promise<string[]> {
    const given = listOf(text)(sessionIds, "heartbeat: sessionIds");
    const { ttlMs, signal } = heartbeatOptions(options, "heartbeat: options");
    const ttl = ttlMs === undefined ? undefined : durationFromMs(ttlMs);
    const response = await this.#connection.rpc.heartbeat({ sessionIds: given, ttl }, { signal });
    return response.expiredSessionIds;
  }

  /**
   * Joins by leases in one call, with 1 to 1000 entries. Each entry has a result of its own, in their order; one
   * that is refused does not touch the others. The entries of one user in one channel are one change.
   *
   * @throws TypeError for an argument that is not allowed, before anything is sent.
   */
  async joinMany(entries: readonly JoinEntry[], options: CallOptions = {}): Promise<BatchResult<BatchAnswer<Lease>>[]> {
    const given = joinEntries(entries, "joinMany: entries");
    return joinMany(this.#connection.rpc, this.userId, given, callOptions(options, "joinMany: options").signal);
  }

  /**
   * Changes states in one call, with 1 to 1000 entries, entries for one user in their order. Each entry has a result
   * of its own; one that is refused does not touch the others. The entries of one user in one channel are one change:
   * each result has the state and the position after all of them.
   *
   * @throws TypeError for an argument that is not allowed, before anything is sent.
   */
  async setStates(
    entries: readonly SetStateEntry[],
    options: CallOptions = {},
  ): Promise<BatchResult<BatchAnswer<StateResult>>[]> {
    const given = setStateEntries(entries, "setStates: entries");
    const { signal } = callOptions(options, "setStates: options");
    const results = await setStates(this.#connection.rpc, this.userId, given, signal);
    for (const subscription of this.#subscriptions) {
      // All entries for the user in this channel are one change, and have the same answer.
      const own = results.find(
        (result, i) =>
          result.ok && result.value.state.userId === this.userId && subscription.isOf(given[i]!.channel, this.userId),
      );
      if (own?.ok) await this.#takeOwnState(subscription, own.value, signal);
    }
    return results;
  }

  /**
   * Closes all subscriptions and feeds, as their `close()` does, and then the connection. Calls in flight are still answered; later ones fail
   * with `CANCELLED`. May be called twice.
   */
  close(): Promise<void> {
    this.#closed ??= this.#close();
    return this.#closed;
  }

  /** A state that the answer left out is asked for; where that fails, the subscription goes on with what it knows. */
  async #takeOwnState(
    subscription: Subscription,
    { state, pending, position }: BatchAnswer<StateResult>,
    signal: AbortSignal | undefined,
  ): Promise<void> {
    const { states } = state;
    if (states) {
      subscription.takeOwnState({ state: withJson({ ...state, states }), pending, position });
      return;
    }
    if (pending) return;
    const { type, name } = subscription.channel;
    const whole = await this.channel(name, { type })
      .getState(undefined, { signal })
      .catch(() => undefined);
    if (whole) subscription.takeOwnState({ state: whole, pending, position });
  }

  async #close(): Promise<void> {
    await Promise.all([...this.#feeds, ...this.#subscriptions].map((stream) => stream.close()));
    this.#connection.close();
  }

  /** The same as `close`, for `await using`. */
  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/**
 * Makes a client. One HTTP/2 connection carries all its calls and streams; a
 * client without an open subscription does not keep the process alive.
 *
 * @throws TypeError for an option that is unknown, of the wrong type or out of range.
 *
 * @example
 * const presence = createPresenceClient({ address: "127.0.0.1:50051", userId: "tony" });
 * const room = presence.channel("chat_room");
 * await room.setState({ Mode: "Happy", Mic: "False" });
 * for await (const event of room.subscribe()) console.log(event.kind);
 */
export function createPresenceClient(options: PresenceClientOptions): PresenceClient {
  return new PresenceClient(options);
}
