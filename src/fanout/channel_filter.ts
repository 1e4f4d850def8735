import { type ChannelId, type ChannelKey, channelKey } from "../model/channel_id.js";

/** Which channels a feed tells of. */
export class ChannelFilter {
  readonly #listed: ReadonlyMap<ChannelKey, ChannelId>;

  /**
   * These channels, and those of either type whose names begin with `prefix`, where one is given. Neither channels nor
   * a prefix (`""`): all channels.
   */
  constructor(
    channels: readonly ChannelId[],
    private readonly prefix: string,
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
  matches({ name }: ChannelId, key: ChannelKey): boolean {
    return this.all || this.#listed.has(key) || (this.prefix !== "" && name.startsWith(this.prefix));
  }
}
