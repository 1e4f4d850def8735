import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { type UserState as PbUserState, UserStateSchema } from "../../gen/presence/v1/presence_pb.js";
import * as pb from "../../gen/presence/v1/presence_service_pb.js";
import type { Engine } from "../engine/engine.js";
import { type ChannelId, channelKey } from "../model/channel_id.js";
import type { Position } from "../model/position.js";
import { holds, pairCount, type States, type UserState } from "../model/user_state.js";
import { fromChannelId, fromPosition, fromUserState } from "../wire/messages.js";
import { PageTokens } from "../wire/page_token.js";
import { allOf } from "./at_once.js";

const DEFAULT_PAGE_SIZE = 100;
const MAX_PAGE_SIZE = 1000;

/** A user, as far as the caller may see it. */
export interface AskedUser {
  readonly app: string;
  readonly userId: string;
  /** Whether the caller may know of the user's presence in this channel. */
  readonly isVisible: (channel: ChannelId) => boolean;
}

/** The use cases that ask without joining (S19). */
export class Queries {
  readonly #tokens = new PageTokens();

  constructor(private readonly engine: Engine) {}

  /**
   * Who is in a channel: in the order of joining, so that a page neither repeats nor skips who stayed, or in the order
   * in which `user_ids` asks for them. A page token is good in its `scope` alone.
   */
  async onlineUsers(
    channel: ChannelId,
    request: pb.ListOnlineUsersRequest,
    scope: string,
  ): Promise<pb.ListOnlineUsersResponse> {
    const query = onlineQuery(channel, request, scope);
    const cursor = request.pageToken === "" ? undefined : this.#tokens.open(query, request.pageToken);
    const asked = new Set(request.userIds);
    const finding =
      asked.size > 0 ? this.#ofThese(channel, request, [...asked], cursor) : this.#ofAll(channel, request, cursor);
    const found = await finding;
    return create(pb.ListOnlineUsersResponseSchema, {
      users: found.users.map((state) => (request.includeStates ? fromUserState(state) : withoutStates(state))),
      nextPageToken: found.next === undefined ? "" : this.#tokens.seal(query, found.next),
      totalSize: found.total,
      position: fromPosition(found.position),
    });
  }

  async #ofAll(channel: ChannelId, request: pb.ListOnlineUsersRequest, token: string | undefined): Promise<Found> {
    if (request.countOnly) {
      const { position, count } = await this.#count(channel, request.states);
      return { users: [], next: undefined, total: count, position };
    }
    const cursor = token === undefined ? undefined : parseCursor(token);
    const current = await this.engine.summary(channel);
    // In a new life of the channel nobody is left of those who were listed.
    const after = cursor && cursor.epoch === current.position.epoch ? cursor.after : 0;
    const page = await this.engine.page(channel, after, pageSize(request.pageSize), request.states);
    const { users, position } = page;
    return {
      users,
      next: page.next === undefined ? undefined : `${position.epoch} ${page.next}`,
      total: page.occupancy,
      position,
    };
  }

  /** O(1), unless only users with certain states count. */
  async #count(channel: ChannelId, states: States): Promise<{ readonly count: number; readonly position: Position }> {
    if (pairCount(states) > 0) return this.engine.count(channel, states);
    const { occupancy, position } = await this.engine.summary(channel);
    return { count: occupancy, position };
  }

  /** Costs as much as there are users asked for, however large the channel. */
  async #ofThese(
    channel: ChannelId,
    request: pb.ListOnlineUsersRequest,
    asked: readonly string[],
    token: string | undefined,
  ): Promise<Found> {
    const { position, occupancy } = await this.engine.summary(channel);
    const from = Number(token ?? 0);
    const records = await allOf(asked.slice(from).map((userId) => this.engine.read(channel, userId)));
    const here = records.flatMap(({ member: { presence } }, i) =>
      presence && holds(presence.state.states, request.states) ? [{ state: presence.state, behind: from + i + 1 }] : [],
    );
    if (request.countOnly) return { users: [], next: undefined, total: here.length, position };
    const page = here.slice(0, pageSize(request.pageSize));
    const next = page.length < here.length ? String(page.at(-1)!.behind) : undefined;
    return { users: page.map(({ state }) => state), next, total: occupancy, position };
  }

  /** Where a user is present, by type and name. A page token is good in its `scope` alone. */
  async userChannels(
    { app, userId, isVisible }: AskedUser,
    request: pb.ListUserChannelsRequest,
    scope: string,
  ): Promise<pb.ListUserChannelsResponse> {
    const query = `channels ${userId} ${scope}`;
    const after = request.pageToken === "" ? "" : this.#tokens.open(query, request.pageToken);
    const places = (await this.engine.placesOf(app, userId)).filter(
      ({ channel, member }) => member.presence && channelKey(channel) > after && isVisible(channel),
    );
    const page = places.slice(0, pageSize(request.pageSize));
    const last = page.at(-1);
    const more = page.length < places.length;
    return create(pb.ListUserChannelsResponseSchema, {
      channels: page.map(({ channel, member }) => ({
        channel: fromChannelId(channel),
        state: fromUserState(member.presence!.state),
      })),
      nextPageToken: more && last ? this.#tokens.seal(query, channelKey(last.channel)) : "",
    });
  }
}

/** A part of an answer. */
interface Found {
  readonly users: readonly UserState[];
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

function withoutStates({ userId, joinTime }: UserState): PbUserState {
  return create(UserStateSchema, { userId, joinTime: timestampFromMs(joinTime!) });
}

function pageSize(requested: number): number {
  return requested === 0 ? DEFAULT_PAGE_SIZE : Math.min(requested, MAX_PAGE_SIZE);
}

function parseCursor(cursor: string): { epoch: string; after: number } {
  const space = cursor.lastIndexOf(" ");
  return { epoch: cursor.slice(0, space), after: Number(cursor.slice(space + 1)) };
}
