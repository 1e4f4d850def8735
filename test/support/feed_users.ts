import type { FeedEvent } from "../../src/client/index.js";

type States = Readonly<Record<string, string>>;

/** Who is in which channel by the events of a client's feed, applied as `docs/clients.md` says. */
export class FeedUsers {
  /** Users with their states, by `type:name` of the channel; vacant channels are left out. */
  readonly channels = new Map<string, Map<string, States>>();
  /** The kinds of the events without a channel, in order. */
  readonly ofFeed: string[] = [];

  /** Applies the next event. */
  apply(event: FeedEvent): void {
    if (!event.channel) {
      this.ofFeed.push(event.kind);
      if (event.kind === "resync" || event.kind === "out_of_service") this.channels.clear();
      return;
    }
    const key = `${event.channel.type}:${event.channel.name}`;
    const users = this.channels.get(key) ?? new Map<string, States>();
    switch (event.kind) {
      case "snapshot":
        users.clear();
        for (const [userId, { states }] of event.members) users.set(userId, { ...states });
        break;
      case "join":
        users.set(event.userId, {});
        break;
      case "state_changed":
        users.set(event.userId, { ...event.state.states });
        break;
      case "leave":
      case "timeout":
        users.delete(event.userId);
    }
    if (users.size > 0) this.channels.set(key, users);
    else this.channels.delete(key);
  }
}
