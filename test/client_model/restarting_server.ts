import { channelMessageOf, userStateOf } from "../../src/client/from_wire.js";
import type { RollcallServer } from "../../src/server/server.js";
import { connect } from "../support/calls.js";
import { gauge } from "../support/gauge.js";
import { startTestServer } from "../support/server.js";
import { SkippingClock } from "../support/skipping_clock.js";
import { CHANNELS, type RoundSettings } from "./commands.js";
import type { Held } from "./replay.js";

/** The longest time that the server's settings allow where no timer is to interfere, in ms. */
const NEVER_MS = 60 * 60_000;

/** What the server says of a channel. */
export interface Truth {
  readonly epoch: string;
  readonly revision: bigint;
  readonly members: ReadonlyMap<string, Held>;
}

/** A server that can be restarted at its address. Its time goes on over restarts, and can be set forward. */
export class RestartingServer {
  readonly clock = new SkippingClock();
  #server: RollcallServer | undefined;
  #address = { host: "127.0.0.1", port: 0 };

  constructor(private readonly settings: RoundSettings) {}

  /** `host:port`, the same after each restart. */
  get address(): string {
    return `${this.#address.host}:${this.#address.port}`;
  }

  async start(): Promise<void> {
    this.#server = await startTestServer(
      {
        ...this.settings,
        listen: this.#address,
        metrics: { host: "127.0.0.1", port: 0 },
        interval: 20,
        // These would measure how long a test took, or fire when the clock is set forward.
        keepalive: NEVER_MS,
        laggingTimeout: NEVER_MS,
        requestTimeout: 10 * 60_000,
      },
      { clock: this.clock },
    );
    this.#address.port = Number(this.#server.address.split(":")[1]);
  }

  /** Ends the streams that are open as a graceful shutdown does, and stops. */
  async stop(): Promise<void> {
    await this.#server?.close();
    this.#server = undefined;
  }

  gauge(name: string): Promise<number> {
    return gauge(this.#server?.metricsAddress, name);
  }

  /** What the server says of all channels, asked without the client. */
  async truths(): Promise<Truth[]> {
    const { client, channel } = connect(this.address);
    try {
      return await Promise.all(
        CHANNELS.map(async (id) => {
          const request = { channel: channelMessageOf(id), includeStates: true, pageSize: 1000 };
          const { users, position } = await client.listOnlineUsers(request);
          const members = new Map(users.map((user) => [user.userId, userStateOf(user)]));
          return { epoch: position?.epoch ?? "", revision: position?.revision ?? 0n, members };
        }),
      );
    } finally {
      channel.close();
    }
  }
}
