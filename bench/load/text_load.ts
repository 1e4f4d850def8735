import type { Dialect } from "./dialect.js";
import { channelName, Load, type Plan } from "./load.js";
import type { Sockets } from "./sockets.js";
import { nowMicros, stampOf } from "./stamp.js";
import type { TextConnection } from "./text_connection.js";

const CONNECTING_AT_ONCE = 100;

/** Readers and a writer over one of the {@link ./dialects}. */
export class TextLoad extends Load {
  readonly #connections: { connection: TextConnection; readers: number[] }[] = [];
  readonly #changes: number[] = [];
  #trigger!: TextConnection;
  #unanswered = 0;
  #out: Buffer[] = [];

  constructor(
    plan: Plan,
    sockets: Sockets,
    private readonly dialect: Dialect,
  ) {
    super(plan, sockets);
  }

  async open(): Promise<void> {
    this.#trigger = await this.#connect();
    this.#trigger.onAnswers = (count) => this.#answered(count);
    this.#changes.push(...Array.from({ length: this.aloneChannel + 1 }, () => 0));
    const total = this.plan.channels * this.plan.readersPerChannel;
    const each = this.dialect.readersPerConnection(Math.ceil(total / this.plan.connections));
    for (let from = 0; from < total; ) {
      const batch: Promise<void>[] = [];
      for (; from < total && batch.length < CONNECTING_AT_ONCE; from += each) {
        batch.push(this.#openReaders(from, Math.min(each, total - from)));
      }
      await Promise.all(batch);
    }
  }

  bytesReceived(): number {
    return this.#connections.reduce((sum, { connection }) => sum + connection.bytesReceived, 0);
  }

  verify(): void {
    for (const { connection, readers } of this.#connections) {
      const expected = readers.reduce((sum, channel) => sum + this.#changes[channel]!, 0);
      if (connection.changes !== expected) {
        this.tally.fault(`a connection of ${readers.length} readers got ${connection.changes} of ${expected} events`);
      }
    }
  }

  protected send(channel: number): void {
    this.#changes[channel] = this.#changes[channel]! + 1;
    this.#unanswered++;
    this.#out.push(this.dialect.change(channelName(channel), stampOf(nowMicros())));
  }

  protected flush(): void {
    if (this.dialect.askForAnswer !== undefined) this.#out.push(this.dialect.askForAnswer);
    this.#trigger.write(Buffer.concat(this.#out));
    this.#out = [];
  }

  /** A protocol that answers when asked answers for all that was sent; the others answer one by one. */
  #answered(count: number): void {
    const answers = this.dialect.askForAnswer === undefined ? count : this.#unanswered;
    this.#unanswered -= answers;
    this.tally.answer(answers);
  }

  async #openReaders(from: number, count: number): Promise<void> {
    const connection = await this.#connect();
    const readers = Array.from({ length: count }, (_, i) => Math.floor((from + i) / this.plan.readersPerChannel));
    for (const [i, channel] of readers.entries()) {
      await connection.step(this.dialect.subscribe(channelName(channel), i));
    }
    connection.onStamp = (sentMicros) => this.tally.deliver(sentMicros);
    this.#connections.push({ connection, readers });
  }

  async #connect(): Promise<TextConnection> {
    const onLost = (reason: string) => this.tally.fault(reason);
    const connection = await this.sockets.text(this.plan.address, this.dialect.answerMark, onLost);
    for (const step of this.dialect.greeting) await connection.step(step);
    return connection;
  }
}
