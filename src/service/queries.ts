import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type UserState as PbUserState, UserStateSchema } from "../../gen/presence/v1/presence_pb.js";
import * as pb from "../../gen/presence/v1/presence_service_pb.js";
import { isAway, type Member } from "../channel/member.js";
import { type ChannelSummary, type Engine, SLICE_USERS } from "../engine/engine.js";
import { type ChannelId, channelKey } from "../model/channel_id.js";
import { PresenceError } from "../model/errors.js";
import type { Position } from "../model/position.js";
import { holds, pairCount, type States } from "../model/user_state.js";
import { fromChannelId, fromPosition, fromUserState } from "../wire/messages.js";
import { PageTokens } from "../wire/page_token.js";
import { callerApp, pageScope, visibleChannels } from "./access.js";
import { allOf } from "./at_once.js";
import type { CallRates } from "./call_rates.js";
import type { Caller } from "./caller.js";
import type { Turns } from "./turns.js";

const DEFAULT_PAGE_SIZE = 100;
const MAX_PAGE_SIZE = 1000;

/** What the queries need. */
export interface QueriesOptions {
  readonly engine: Engine;
  readonly rates: CallRates;
  readonly turns: Turns;
}

/** The use cases that ask without joining (S19). */
export class Queries {
  readonly #tokens = new PageTokens();

  constructor(private readonly options: QueriesOptions) {}

  /**
   * Who is in a channel: in the order of joining, so that a page neither repeats nor skips who stayed, or in the order
   * in which `user_ids` asks for them. A page token is valid for the same caller and query only.
   */
  async onlineUsers(
    caller: Caller,
    channel: ChannelId,
    request: pb.ListOnlineUsersRequest,
  ): Promise<pb.ListOnlineUsersResponse> {
    const query = onlineQuery(channel, request, pageScope(caller));
    const token = request.pageToken === "" ? undefined : this.#tokens.open(query, request.pageToken);
    const found = await this.#find(caller, channel, request, token);
    return create(pb.ListOnlineUsersResponseSchema, {
      users: found.members.map(request.includeStates ? presentUser : withoutStates),
      nextPageToken: found.next === undefined ? "" : this.#tokens.seal(query, found.next),
      totalSize: found.total,
      position: fromPosition(found.position),
    });
  }

  #find(
    caller: Caller,
    channel: ChannelId,
    request: pb.ListOnlineUsersRequest,
    token: string | undefined,
  ): Promise<Found> {
    if (request.userIds.length > 0) return this.#ofThese(channel, request, [...new Set(request.userIds)], token);
    return request.countOnly
      ? this.#count(caller, channel, request.states)
      : this.#page(caller, channel, request, token);
  }

  /**
   * A slice of users a turn, until the page is full. The caller pays for each further slice; one that cannot gets the
   * page as it is, and goes on by its token. Total and position are those of the first slice.
   */
  async #page(
    caller: Caller,
    channel: ChannelId,
    { states, pageSize }: pb.ListOnlineUsersRequest,
    token: string | undefined,
  ): Promise<Found> {
    const size = pageSizeOf(pageSize);
    let { epoch, after } = token === undefined ? { epoch: undefined, after: 0 } : parseCursor(token);
    let members: Member[] = [];
    let first: ChannelSummary | undefined;
    for (;;) {
      const slice = await this.options.engine.page(channel, after, size - members.length, states);
      if (epoch !== undefined && slice.position.epoch !== epoch) {
        // In a new life of the channel, none of those who were listed is left.
        epoch = undefined;
        after = 0;
        members = [];
        first = undefined;
        continue;
      }
      epoch = slice.position.epoch;
      first ??= slice;
      members.push(...slice.members);
      const { next } = slice;
      if (next === undefined || members.length === size || !this.#mayGoOn(caller)) {
        const cursor = next === undefined ? undefined : `${epoch} ${next}`;
        return { members, next: cursor, total: first.occupancy, position: first.position };
      }
      await this.options.turns.next();
      after = next;
    }
  }

  /**
   * O(1), unless only users with certain states count: then a slice of users a turn, for which the caller pays before
   * the first. The position is that at the beginning.
   */
  async #count(caller: Caller, channel: ChannelId, states: States): Promise<Found> {
    const { engine, rates, turns } = this.options;
    const { position, occupancy } = await engine.summary(channel);
    const found = (total: number): Found => ({ members: [], next: undefined, total, position });
    if (pairCount(states) === 0) return found(occupancy);
    rates.examining(caller, occupancy - SLICE_USERS);
    let total = 0;
    let after = 0;
    for (;;) {
      const slice = await engine.count(channel, after, states);
      total += slice.count;
      // In a new life of the channel, none of those who were counted is left; the answer is about the old one.
      if (slice.next === undefined || slice.position.epoch !== position.epoch) return found(total);
      await turns.next();
      after = slice.next;
    }
  }

  /** Whether the caller could pay for one more slice, which it then has. */
  #mayGoOn(caller: Caller): boolean {
    try {
      this.options.rates.examining(caller, SLICE_USERS);
      return true;
    } catch (error) {
      if (error instanceof PresenceError && error.reason === "RATE_LIMITED") return false;
      throw error;
    }
  }

  /** Costs as much as there are users asked for, however large the channel. */
  async #ofThese(
    channel: ChannelId,
    request: pb.ListOnlineUsersRequest,
    asked: readonly string[],
    token: string | undefined,
  ): Promise<Found> {
    const { engine } = this.options;
    const { position, occupancy } = await engine.summary(channel);
    const from = Number(token ?? 0);
    const records = await allOf(asked.slice(from).map((userId) => engine.read(channel, userId)));
    const here = records.flatMap(({ member }, i) =>
      member.presence && holds(member.presence.state.states, request.states) ? [{ member, behind: from + i + 1 }] : [],
    );
    if (request.countOnly) return { members: [], next: undefined, total: here.length, position };
    const page = here.slice(0, pageSizeOf(request.pageSize));
    const next = page.length < here.length ? String(page.at(-1)!.behind) : undefined;
    return { members: page.map(({ member }) => member), next, total: occupancy, position };
  }

  /** Where a user is present, by type and name. A page token is valid for the same caller and query only. */
  async userChannels(
    caller: Caller,
    userId: string,
    request: pb.ListUserChannelsRequest,
  ): Promise<pb.ListUserChannelsResponse> {
    const query = `channels ${userId} ${pageScope(caller)}`;
    const isVisible = visibleChannels(caller, userId);
    const after = request.pageToken === "" ? "" : this.#tokens.open(query, request.pageToken);
    const all = await this.options.engine.placesOf(callerApp(caller), userId);
    this.options.rates.examining(caller, all.length - SLICE_USERS);
    const places = all.filter(
      ({ channel, member }) => member.presence && channelKey(channel) > after && isVisible(channel),
    );
    const page = places.slice(0, pageSizeOf(request.pageSize));
    const last = page.at(-1);
    const more = page.length < places.length;
    return create(pb.ListUserChannelsResponseSchema, {
      channels: page.map(({ channel, member }) => ({
        channel: fromChannelId(channel),
        state: presentUser(member),
      })),
      nextPageToken: more && last ? this.#tokens.seal(query, channelKey(last.channel)) : "",
    });
  }
}

/** A part of an answer. */
interface Found {
  /** Each has a presence. */
  readonly members: readonly Member[];
  /** What the next page's token is to bring back. */
  readonly next: string | undefined;
  readonly total: number;
  readonly position: Position;
}

/** Tells questions apart whose pages do not belong together: their channel and their filters, in one order of the pairs. */
function onlineQuery(channel: ChannelId, { userIds, states }: pb.ListOnlineUsersRequest, scope: string): string {
  const pairs = Object.entries(states).sort(([a], [b]) => (a < b ? -1 : 1));
  return `online ${JSON.stringify([channelKey(channel), userIds, pairs])} ${scope}`;
}

/** A present user in the answer to a query: unlike in streams, with `detached`. */
export function presentUser(member: Member): PbUserState {
  const user = fromUserState(member.presence!.state);
  user.detached = isAway(member);
  return user;
}

function withoutStates(member: Member): PbUserState {
  const { userId, joinTime } = member.presence!.state;
  return create(UserStateSchema, { userId, joinTime: timestampFromMs(joinTime!), detached: isAway(member) });
}

function pageSizeOf(requested: number): number {
  return requested === 0 ? DEFAULT_PAGE_SIZE : Math.min(requested, MAX_PAGE_SIZE);
}

function parseCursor(cursor: string): { epoch: string; after: number } {
  const space = cursor.lastIndexOf(" ");
  return { epoch: cursor.slice(0, space), after: Number(cursor.slice(space + 1)) };
}
