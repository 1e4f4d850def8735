import type { Sockets } from "./sockets.js";
import { Tally } from "./tally.js";

/** Who is to read, where, and over how many connections. */
export interface Plan {
  protocol: Protocol;
  address: string;
  /** Channels with readers. One more, without any, is always there: changes to it cost the call alone. */
  channels: number;
  readersPerChannel: number;
  /** The readers are dealt out over these; a protocol that carries one reader per connection opens more. */
  connections: number;
  /** Users per channel who make the changes, in turn. */
  members: number;
  /** The members read too. */
  membersHear?: boolean;
  /** A member that reads hears its own changes. Rollcall does not tell them, the baselines know no better. */
  hearsOwn?: boolean;
  /** Changes may come in INTERVAL events. No user may change twice in one, or the count is wrong. */
  intervals?: boolean;
  /** What every call shows who it is by. */
  token?: string;
  /** A call that is refused is an answer like another, and a stream that is refused is no fault. */
  mayBeRefused?: boolean;
  /** The call to make instead of SetState, with the same bytes. */
  path?: string;
}

/** How a server is talked to. */
export type Protocol = "presence" | "etcd" | "nats" | "redis" | "socket_io";

/** Makes changes and counts their arrival, over one protocol. */
export abstract class Load {
  readonly tally = new Tally();

  constructor(
    protected readonly plan: Plan,
    protected readonly sockets: Sockets,
  ) {}

  /** The channels to make changes in. */
  channelsToChange(where: "readers" | "alone"): readonly number[] {
    return where === "alone" ? [this.aloneChannel] : Array.from({ length: this.plan.channels }, (_, i) => i);
  }

  /** The number of the channel that has no readers. */
  protected get aloneChannel(): number {
    return this.plan.channels;
  }

  /** Makes one change in each of the given channels, all in one write. */
  change(channels: readonly number[]): void {
    for (const channel of channels) {
      this.tally.expect(this.hearersOf(channel));
      this.send(channel);
    }
    this.flush();
  }

  /** Connects, and resolves once every reader is in place. */
  abstract open(): Promise<void>;
  /** Bytes that came to the readers. */
  abstract bytesReceived(): number;
  /** Compares what each reader got with what it should have got. */
  abstract verify(): void;
  /** Queues one change. */
  protected abstract send(channel: number): void;
  /** Sends what is queued. */
  protected abstract flush(): void;

  /** How many readers hear a change to a channel. */
  protected hearersOf(channel: number): number {
    if (channel === this.aloneChannel) return 0;
    const { readersPerChannel, members, membersHear, hearsOwn } = this.plan;
    return readersPerChannel + (membersHear ? members - (hearsOwn ? 0 : 1) : 0);
  }
}

/** The name of a channel. */
export function channelName(channel: number): string {
  return `c${channel}`;
}
