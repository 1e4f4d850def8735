import { PATH, type Part, subscribeCall } from "./calls.js";
import type { H2Connection, StreamListener } from "./h2_connection.js";
import type { Sockets } from "./sockets.js";
import { type ViewOwner, ViewReader } from "./view_reader.js";

const PATIENCE_MS = 120_000;

/** Where a crowd gathers, and how large it may become. */
export interface CrowdPlan {
  address: string;
  connections: number;
  most: number;
}

/** What an entrance took. */
export interface Entered {
  seconds: number;
  bytes: number;
}

/** Users who join one channel, those who hear keeping a view of who is there. */
export class Crowd implements ViewOwner {
  readonly #connections: H2Connection[] = [];
  readonly #views: ViewReader[] = [];
  #present = 0;
  #subscribed = 0;
  readonly #complete = new Set<ViewReader>();
  readonly #faults: string[] = [];
  #wake: (() => void) | undefined;

  private constructor(private readonly plan: CrowdPlan) {}

  /** Connects. */
  static async gather(plan: CrowdPlan, sockets: Sockets): Promise<Crowd> {
    const crowd = new Crowd(plan);
    for (let i = 0; i < plan.connections; i++) {
      crowd.#connections.push(await sockets.grpc(plan.address, (reason) => crowd.fault(reason)));
    }
    return crowd;
  }

  /**
   * Lets `count` more users join, at most `atOnce` of them waiting for their SUBSCRIBED. Resolves once all are in and
   * every view holds everybody.
   */
  async enter(part: Part, count: number, atOnce: number): Promise<Entered> {
    const bytes = this.#bytes();
    const start = performance.now();
    const first = this.#present;
    this.#present += count;
    this.#complete.clear();
    for (let opened = 0; opened < count; opened++) {
      this.#join(part, first + opened);
      const waiting = first + opened + 1 - this.#subscribed;
      if (waiting < atOnce && opened + 1 < count) continue;
      for (const connection of this.#connections) connection.flush();
      const enough = first + opened + 1 - atOnce / 2;
      await this.#until(() => this.#subscribed >= enough);
    }
    await this.#until(() => this.#subscribed === this.#present && this.#complete.size === this.#views.length);
    return { seconds: (performance.now() - start) / 1000, bytes: this.#bytes() - bytes };
  }

  subscribed(): void {
    this.#subscribed++;
    this.#wake?.();
  }

  viewChanged(view: ViewReader): void {
    if (view.size > this.#present) this.fault(`a view holds ${view.size} of ${this.#present} users`);
    if (view.size !== this.#present) return;
    this.#complete.add(view);
    this.#wake?.();
  }

  fault(text: string): void {
    this.#faults.push(text);
    this.#wake?.();
  }

  #join(part: Part, number: number): void {
    const user = `u${number}`;
    const view = new ViewReader(this, user, this.plan.most);
    if (part !== "member") this.#views.push(view);
    const listener: StreamListener = view;
    this.#connections[number % this.#connections.length]!.call(
      PATH.subscribe,
      subscribeCall("crowd", user, part),
      listener,
    );
  }

  #until(reached: () => boolean): Promise<void> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => finish(new Error(this.#account())), PATIENCE_MS);
      const finish = (error?: Error) => {
        clearTimeout(timer);
        this.#wake = undefined;
        if (error) reject(error);
        else resolve();
      };
      this.#wake = () => {
        if (this.#faults.length > 0) finish(new Error(this.#faults.slice(0, 5).join("; ")));
        else if (reached()) finish();
      };
      this.#wake();
    });
  }

  #account(): string {
    return `no convergence: ${this.#subscribed} of ${this.#present} are in, ${this.#complete.size} of ${this.#views.length} views are complete`;
  }

  #bytes(): number {
    return this.#connections.reduce((sum, connection) => sum + connection.bytesReceived, 0);
  }
}
