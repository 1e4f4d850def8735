import { createPresenceClient, type PresenceChannel, type PresenceClient } from "../../src/client/index.js";
import { TcpProxy } from "../support/tcp_proxy.js";
import { CHANNELS, type Fault } from "./commands.js";
import type { Viewer } from "./viewer.js";
import type { Watcher } from "./watcher.js";

/** A lease that a device took. */
export interface HeldLease {
  readonly sessionId: string;
  readonly channel: number;
  readonly joinedAt: number;
  /** Whether a leave that may concern it was sent. */
  mayEnd: boolean;
}

/** A device of a user: a client, and the network between it and the server. */
export class Device {
  client: PresenceClient;
  /** All subscriptions since the last rest, and those that are open. */
  viewers: Viewer[] = [];
  leases: HeldLease[] = [];
  /** Its feeds, with those that were closed since the last rest. */
  watchers: Watcher[] = [];
  /** Whether its network, or the server, had a fault since the last rest. */
  isDisturbed = false;
  /** Channels that it left since the last rest, with all of its sessions. */
  readonly left = new Set<number>();
  /** Whether its client was closed since the last rest. */
  wasReopened = false;

  #link: Exclude<Fault, "cut"> = "flow";

  private constructor(
    readonly userId: string,
    readonly name: string,
    private readonly proxy: TcpProxy,
    private readonly deviceId: string | undefined,
  ) {
    this.client = this.#connect();
  }

  static async start(address: string, userId: string, name: string, deviceId: string | undefined): Promise<Device> {
    return new Device(userId, name, await TcpProxy.to(address), deviceId);
  }

  get label(): string {
    return `${this.userId}'s ${this.name}`;
  }

  get openViewers(): Viewer[] {
    return this.viewers.filter(({ isOpen }) => isOpen);
  }

  get openWatchers(): Watcher[] {
    return this.watchers.filter(({ isOpen }) => isOpen);
  }

  /** Whether bytes pass, or soon will. */
  get isFlowing(): boolean {
    return this.#link === "flow";
  }

  channel(index: number): PresenceChannel {
    const { type, name } = CHANNELS[index]!;
    return this.client.channel(name, { type });
  }

  /** Closes the client and makes another one; resolves when the first is closed. */
  reopen(): Promise<void> {
    const closing = this.client.close();
    this.client = this.#connect();
    return closing;
  }

  /** Lets the network fail, or heals it. */
  suffer(fault: Fault): void {
    if (fault !== "flow") this.isDisturbed = true;
    if (fault === "cut" || fault === "refuse") for (const viewer of this.openViewers) viewer.onFault();
    if (fault === "cut") this.proxy.cut();
    else this.#link = fault;
    if (fault !== "cut") this.#apply();
  }

  /** The server ends; with `killed`, the connection too, and no other begins before `onServerStarted`. */
  onServerEnds(killed: boolean): void {
    this.isDisturbed = true;
    for (const viewer of this.openViewers) viewer.onFault();
    if (killed) this.proxy.refuse();
  }

  onServerStarted(): void {
    this.#apply();
  }

  async close(): Promise<void> {
    await this.client.close();
    await this.proxy.close();
  }

  #apply(): void {
    // Only this ends a refusal.
    this.proxy.flow();
    this.proxy[this.#link]();
  }

  #connect(): PresenceClient {
    return createPresenceClient({
      address: this.proxy.address,
      userId: this.userId,
      reconnect: { minDelayMs: 5, maxDelayMs: 50, connectTimeoutMs: 300_000 },
      channelOptions: { "grpc.initial_reconnect_backoff_ms": 20, "grpc.max_reconnect_backoff_ms": 100 },
      ...(this.deviceId !== undefined && { deviceId: this.deviceId }),
    });
  }
}
