import type { PresenceEvent, Subscription, SubscriptionStatus, UserState } from "../../src/client/index.js";
import { type Deferred, deferred } from "../support/deferred.js";
import type { Pace, Subscribing } from "./commands.js";
import type { Holder } from "./own_state.js";
import { differencesOf, Replay } from "./replay.js";

/** What a viewer needs of its round. */
export interface ViewerOptions {
  /** For reports. */
  readonly label: string;
  readonly userId: string;
  readonly channel: number;
  readonly how: Subscribing;
  /** A new point in time, later than all before. */
  readonly now: () => number;
  /** Called when the subscription is live for the first time. */
  readonly onFirstLive: () => void;
  /** Makes the subscription. */
  readonly subscribe: (onStatus: (status: SubscriptionStatus) => void, signal: AbortSignal) => Subscription;
}

/** A subscription as an application has it: with its iteration, and all that was seen of it. */
export class Viewer {
  readonly subscription: Subscription;
  readonly abort = new AbortController();
  readonly replay = new Replay();
  /** What was wrong with single events or statuses, as lines for a report. */
  readonly problems: string[] = [];
  /** Whether it was closed, or a leave that may concern its session was sent. */
  mayEnd = false;
  isReady = false;

  readonly #options: ViewerOptions;
  #pace: Pace;
  #isDraining = false;
  #gate: Deferred<void> | undefined;
  #iterator: AsyncIterator<PresenceEvent, undefined> | undefined;
  #liveSince: number | undefined;
  #returnedAt = 0;
  #fault: Holder["fault"];
  #carried = new Map<string, Set<string>>();
  #hasEnded = false;

  constructor(options: ViewerOptions) {
    this.#options = options;
    this.#pace = options.how.pace;
    this.subscription = options.subscribe((status) => this.#onStatus(status), this.abort.signal);
    this.subscription.ready.then(
      () => {
        this.isReady = true;
      },
      () => {},
    );
    if (this.#pace !== "never") void this.#iterate();
  }

  get label(): string {
    return this.#options.label;
  }

  get userId(): string {
    return this.#options.userId;
  }

  get channel(): number {
    return this.#options.channel;
  }

  get how(): Subscribing {
    return this.#options.how;
  }

  /** Whether it makes its user present. */
  get isVisible(): boolean {
    return !this.how.quiet;
  }

  get isOpen(): boolean {
    return this.subscription.status.state !== "closed";
  }

  get isIterated(): boolean {
    return this.#iterator !== undefined;
  }

  /** The user whose events the iteration leaves out. */
  get unheard(): string | undefined {
    return this.how.includeSelf ? undefined : this.userId;
  }

  get holder(): Holder {
    const showsAtOnce = this.how.withPresence && (this.#pace === "never" || this.#pace === "fast");
    return {
      liveSince: this.#liveSince,
      isReliable: showsAtOnce && this.isVisible && this.isOpen && !this.mayEnd,
      fault: this.#fault,
      carried: showsAtOnce ? this.#carried : "any",
      returnedAt: this.#returnedAt,
    };
  }

  /** Its connection is about to fail, or its server. */
  onFault(): void {
    this.#carry();
    this.#fault ??= { at: this.#options.now(), states: { ...this.#own?.states } };
  }

  /** Begins again at a time of rest. */
  rebase(): void {
    this.#fault = undefined;
    this.#returnedAt = 0;
    this.#carried = new Map();
    if (this.#pace === "late") this.#pace = "fast";
  }

  /** Lets a slow iteration take one event, and a late one begin. */
  step(): void {
    if (this.#pace === "late") this.#pace = "fast";
    this.#gate?.resolve();
  }

  /** Lets the iteration take all events, or one at a time again. */
  drain(isDraining: boolean): void {
    this.#isDraining = isDraining;
    if (isDraining) this.#gate?.resolve();
  }

  /** Leaves the loop. */
  async return(): Promise<void> {
    const iterator = this.#iterator ?? this.subscription[Symbol.asyncIterator]();
    await iterator.return?.();
  }

  async #iterate(): Promise<void> {
    try {
      while (this.isOpen) {
        if (!this.#isDraining && (this.#pace === "slow" || this.#pace === "late")) {
          this.#gate = deferred();
          await this.#gate.promise;
        }
        this.#iterator ??= this.subscription[Symbol.asyncIterator]();
        const { value, done } = await this.#iterator.next();
        if (done) return;
        this.replay.apply(value);
        if (!this.replay.hasBegun) continue;
        // Answers to one's own calls are in the members before the events are.
        const wrong = differencesOf(this.subscription.members, this.replay.members, this.userId);
        if (wrong.length > 0) this.#problem(`members differ from the events after ${value.kind}: ${wrong.join("; ")}`);
      }
    } catch (error) {
      if (!this.mayEnd) this.#problem(`the iteration failed: ${error}`);
    }
  }

  get #own(): UserState | undefined {
    return this.subscription.members.get(this.userId);
  }

  #onStatus({ state }: SubscriptionStatus): void {
    if (this.#hasEnded) this.#problem(`status ${state} after closed`);
    if (state === "closed") this.#hasEnded = true;
    if (state === "live") {
      if (this.#liveSince === undefined) this.#options.onFirstLive();
      this.#liveSince ??= this.#options.now();
      this.#returnedAt = this.#options.now();
    }
    // The first status may come before the constructor of the subscription returns.
    if (this.subscription) this.#carry();
  }

  /** What it shows of its own user now is what it may set again. */
  #carry(): void {
    for (const [key, value] of Object.entries(this.#own?.states ?? {})) {
      this.#carried.set(key, (this.#carried.get(key) ?? new Set()).add(value));
    }
  }

  #problem(text: string): void {
    if (this.problems.length === 0) this.problems.push(`${this.label}: ${text}`);
  }
}
