/** The two worlds of channels; the same name under another type is another channel. The numbers are the contract's. */
export const ChannelType = { message: 1, stream: 2 } as const;

/** One of the two channel types, by its number in the contract. */
export type ChannelType = (typeof ChannelType)[keyof typeof ChannelType];

/** Which channel. */
export interface ChannelId {
  readonly type: ChannelType;
  /** 1 to 128 bytes of UTF-8, no control characters. */
  readonly name: string;
  /**
   * The namespace that the channel lives in (S20): no control characters. Absent: the one without a name. Known inside
   * the server alone; what goes out to clients is type and name.
   */
  readonly app?: string;
}

/** A string that is equal for equal channels and for no others. */
export type ChannelKey = string;

/** A string that is equal for equal users of equal apps and for no others. */
export type UserKey = string;

/** Between a name and its app: no name and no app holds control characters. */
const APP_MARK = "\u0001";

/** The namespace of a channel; empty: the one without a name. */
export function appOf(channel: ChannelId): string {
  return channel.app ?? "";
}

/** The key of a channel, for maps. Within an app it sorts by type, then by name. */
export function channelKey({ type, name, app }: ChannelId): ChannelKey {
  return app ? `${type}:${name}${APP_MARK}${app}` : `${type}:${name}`;
}

/** The channel that a key was made from. */
export function parseChannelKey(key: ChannelKey): ChannelId {
  const type = Number(key.slice(0, 1)) as ChannelType;
  const mark = key.indexOf(APP_MARK);
  return mark < 0
    ? { type, name: key.slice(2) }
    : { type, name: key.slice(2, mark), app: key.slice(mark + APP_MARK.length) };
}

/** The key of a user, for maps: two users of one id in two apps are two (S20). */
export function userKey(app: string, userId: string): UserKey {
  return app === "" ? userId : `${userId}${APP_MARK}${app}`;
}
