import { create } from "@bufbuild/protobuf";
import { timestampFromMs } from "@bufbuild/protobuf/wkt";
import { UserStateSchema } from "../../gen/presence/v1/presence_pb.js";
import * as pb from "../../gen/presence/v1/presence_service_pb.js";
import type { Engine } from "../engine/engine.js";
import { type ChannelId, channelKey } from "../model/channel_id.js";
import { fromChannelId, fromPosition, fromUserState } from "../wire/messages.js";
import { PageTokens } from "../wire/page_token.js";

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
   * Who is in a channel, in the order of joining, so that a page neither repeats nor skips who stayed. A page token is
   * good in its `scope` alone.
   */
  async onlineUsers(
    channel: ChannelId,
    request: pb.ListOnlineUsersRequest,
    scope: string,
  ): Promise<pb.ListOnlineUsersResponse> {
    const query = `online ${channelKey(channel)} ${scope}`;
    const cursor = request.pageToken === "" ? undefined : parseCursor(this.#tokens.open(query, request.pageToken));
    if (request.countOnly) {
      const { position, occupancy } = await this.engine.summary(channel);
      return create(pb.ListOnlineUsersResponseSchema, { totalSize: occupancy, position: fromPosition(position) });
    }
    const current = await this.engine.summary(channel);
    // In a new life of the channel nobody is left of those who were listed.
    const after = cursor && cursor.epoch === current.position.epoch ? cursor.after : 0;
    const page = await this.engine.page(channel, after, pageSize(request.pageSize));
    return create(pb.ListOnlineUsersResponseSchema, {
      users: page.users.map((state) =>
        request.includeStates
          ? fromUserState(state)
          : create(UserStateSchema, { userId: state.userId, joinTime: timestampFromMs(state.joinTime!) }),
      ),
      nextPageToken: page.next === undefined ? "" : this.#tokens.seal(query, `${page.position.epoch} ${page.next}`),
      totalSize: page.occupancy,
      position: fromPosition(page.position),
    });
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

function pageSize(requested: number): number {
  return requested === 0 ? DEFAULT_PAGE_SIZE : Math.min(requested, MAX_PAGE_SIZE);
}

function parseCursor(cursor: string): { epoch: string; after: number } {
  const space = cursor.lastIndexOf(" ");
  return { epoch: cursor.slice(0, space), after: Number(cursor.slice(space + 1)) };
}
