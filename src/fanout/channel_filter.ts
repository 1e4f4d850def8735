import { type ChannelId, type ChannelKey, channelKey } from "../model/channel_id.js";

/** Which channels a feed tells of. */
export class ChannelFilter {
  readonly #listed: ReadonlyMap<ChannelKey, ChannelId>;

  /**
   * These channels, and those of either type whose names begin with `prefix`, where one is given. Neither channels nor
   * a prefix (`""`): all channels. But of all of them only those that are `visible` to whoever watches (S20).
   */
  constructor(
    channels: readonly ChannelId[],
    private readonly prefix: string,
    private readonly visible: (channel: ChannelId) => boolean = () => true,
  ) {
    this.#listed = new Map(channels.map((channel) => [channelKey(channel), channel]));
  }

  /** Whether it is every channel. */
  get all(): boolean {
    return this.#listed.size === 0 && this.prefix === "";
  }

  /** The channels, each once, where they are known by their names; `undefined`: only the source knows which there are. */
  get named(): readonly ChannelId[] | undefined {
    return this.#listed.size > 0 && this.prefix === "" ? [...this.#listed.values()] : undefined;
  }

  /** Whether the channel, whose key is `key`, is one of them. */
  matches(channel: ChannelId, key: ChannelKey): boolean {
    const isAsked = this.all || this.#listed.has(key) || (this.prefix !== "" && channel.name.startsWith(this.prefix));
    return isAsked && this.visible(channel);
  }
}
