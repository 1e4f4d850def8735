/** The two worlds of channels; the same name under another type is another channel. The numbers are the contract's. */
export const ChannelType = { message: 1, stream: 2 } as const;

/** One of the two channel types, by its number in the contract. */
export type ChannelType = (typeof ChannelType)[keyof typeof ChannelType];

/** Which channel. */
export interface ChannelId {
  readonly type: ChannelType;
  /** 1 to 128 bytes of UTF-8, no control characters. */
  readonly name: string;
}

/** A string that is equal for equal channels and for no others. */
export type ChannelKey = string;

/** The key of a channel, for maps. Sorts by type, then by name. */
export function channelKey(channel: ChannelId): ChannelKey {
  return `${channel.type}:${channel.name}`;
}
