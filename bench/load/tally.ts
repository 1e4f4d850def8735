import { Histogram } from "./histogram.js";
import { nowMicros } from "./stamp.js";

const PATIENCE_MS = 30_000;
const FAULTS_KEPT = 5;

/** Counts what was asked for and what came, and says when nothing is outstanding. */
export class Tally {
  /** From the writing of a change to its reading, per delivery. */
  readonly latency = new Histogram();
  /** What went wrong; a sample with faults is void. */
  readonly faults: string[] = [];
  delivered = 0;
  /** Messages in which they came; 0 where the protocol has none. */
  messages = 0;
  /** Readers that were sent a fresh snapshot because they had fallen behind. */
  resyncs = 0;
  #expected = 0;
  #changes = 0;
  #answered = 0;
  #wake: (() => void) | undefined;

  /** How many changes were made. */
  get changes(): number {
    return this.#changes;
  }

  /** Notes a change that `readers` readers have to hear. */
  expect(readers: number): void {
    this.#changes++;
    this.#expected += readers;
  }

  /** Notes the delivery of a change sent at `sentMicros`. */
  deliver(sentMicros: number): void {
    this.latency.record(nowMicros() - sentMicros);
    this.delivered++;
    this.#check();
  }

  /** Notes the delivery of changes that came together. */
  deliverAll(sentMicros: readonly number[]): void {
    const now = nowMicros();
    for (const sent of sentMicros) this.latency.record(now - sent);
    this.delivered += sentMicros.length;
    this.#check();
  }

  /** Notes the answers to `calls` calls. */
  answer(calls = 1): void {
    this.#answered += calls;
    this.#check();
  }

  /** Notes a fault. */
  fault(text: string): void {
    if (this.faults.length < FAULTS_KEPT) this.faults.push(text);
    this.#wake?.();
  }

  /** Resolves once every change was answered and heard by all; rejects at a fault and when that takes too long. */
  settled(): Promise<void> {
    return new Promise((resolve, reject) => {
      const done = (error?: Error) => {
        clearTimeout(timer);
        this.#wake = undefined;
        if (error) reject(error);
        else resolve();
      };
      const timer = setTimeout(() => done(new Error(`events were lost: ${this.#account()}`)), PATIENCE_MS);
      this.#wake = () => {
        if (this.faults.length > 0) done(new Error(this.faults.join("; ")));
        else done();
      };
      if (this.faults.length > 0) this.#wake();
      this.#check();
    });
  }

  #check(): void {
    if (this.#wake === undefined) return;
    if (this.delivered >= this.#expected && this.#answered >= this.#changes) this.#wake();
  }

  #account(): string {
    return `${this.delivered} of ${this.#expected} deliveries, ${this.#answered} of ${this.#changes} answers`;
  }
}
