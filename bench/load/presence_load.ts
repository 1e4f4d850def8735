import { PATH, type Part, SetStateCall, subscribeCall } from "./calls.js";
import { FieldScanner } from "./event_scanner.js";
import type { H2Connection, StreamListener } from "./h2_connection.js";
import { channelName, Load } from "./load.js";
import { PresenceReader } from "./presence_reader.js";

/** Streams that may wait for their first message at once: the requests must fit the server's first window. */
const OPENING_AT_ONCE = 200;

/** Readers and writers that speak `presence.v1`; rollcall and all the HTTP/2 baselines are driven by it. */
export class PresenceLoad extends Load {
  readonly #connections: H2Connection[] = [];
  readonly #readers: PresenceReader[][] = [];
  readonly #listening: PresenceReader[][] = [];
  readonly #calls: SetStateCall[][] = [];
  readonly #turn: number[] = [];
  readonly #changes: number[] = [];
  readonly #revision: number[] = [];
  #trigger!: H2Connection;

  async open(): Promise<void> {
    const { address, connections, token } = this.plan;
    const onLost = (reason: string) => this.tally.fault(reason);
    this.#trigger = await this.sockets.grpc(address, onLost, token);
    for (let i = 0; i < connections; i++) this.#connections.push(await this.sockets.grpc(address, onLost, token));
    for (let channel = 0; channel <= this.aloneChannel; channel++) {
      this.#readers.push([]);
      this.#listening.push([]);
      this.#turn.push(0);
      this.#changes.push(0);
      this.#revision.push(0);
      const users = Array.from({ length: this.plan.members }, (_, i) => `m${channel}_${i}`);
      this.#calls.push(users.map((user) => new SetStateCall(channelName(channel), user)));
    }
    await this.#openAll(this.#memberStreams());
    await this.#openAll(this.#readerStreams());
  }

  bytesReceived(): number {
    return this.#connections.reduce((sum, connection) => sum + connection.bytesReceived, 0);
  }

  verify(): void {
    for (let channel = 0; channel < this.plan.channels; channel++) {
      const changes = this.#changes[channel]!;
      for (const reader of this.#readers[channel]!) {
        if (reader.changes !== changes) this.tally.fault(`a reader got ${reader.changes} of ${changes} changes`);
        const revision = this.#revision[channel]!;
        if (revision > 0 && reader.revision !== revision) {
          this.tally.fault(`a reader is at revision ${reader.revision}, the channel at ${revision}`);
        }
      }
      const heard = this.#listening[channel]!.reduce((sum, reader) => sum + reader.changes, 0);
      const perChange = this.plan.membersHear ? this.plan.members - (this.plan.hearsOwn ? 0 : 1) : 0;
      if (heard !== changes * perChange) this.tally.fault(`the members got ${heard} of ${changes * perChange} events`);
    }
  }

  protected send(channel: number): void {
    const calls = this.#calls[channel]!;
    const turn = this.#turn[channel]!;
    this.#turn[channel] = (turn + 1) % calls.length;
    this.#changes[channel] = this.#changes[channel]! + 1;
    this.#trigger.call(this.plan.path ?? PATH.setState, calls[turn]!.stamped(), this.#answerIn(channel));
  }

  protected flush(): void {
    this.#trigger.flush();
  }

  *#memberStreams(): Generator<StreamToOpen> {
    const hears = this.plan.membersHear === true;
    for (let channel = 0; channel <= this.aloneChannel; channel++) {
      for (let i = 0; i < this.plan.members; i++) {
        const part: Part = hears && channel !== this.aloneChannel ? "hearing member" : "member";
        yield { channel, user: `m${channel}_${i}`, part };
      }
    }
  }

  *#readerStreams(): Generator<StreamToOpen> {
    for (let channel = 0; channel < this.plan.channels; channel++) {
      for (let i = 0; i < this.plan.readersPerChannel; i++) yield { channel, user: `r${channel}_${i}`, part: "reader" };
    }
  }

  async #openAll(streams: Iterable<StreamToOpen>): Promise<void> {
    let batch: Promise<void>[] = [];
    let next = 0;
    for (const stream of streams) {
      batch.push(this.#openOne(stream, this.#connections[next++ % this.#connections.length]!));
      if (batch.length < OPENING_AT_ONCE) continue;
      await this.#opened(batch);
      batch = [];
    }
    await this.#opened(batch);
  }

  async #opened(batch: Promise<void>[]): Promise<void> {
    for (const connection of this.#connections) connection.flush();
    await Promise.all(batch);
    if (this.tally.faults.length > 0) throw new Error(this.tally.faults.join("; "));
  }

  #openOne({ channel, user, part }: StreamToOpen, connection: H2Connection): Promise<void> {
    return new Promise((resolve) => {
      const { intervals } = this.plan;
      const reader = new PresenceReader(this.tally, user, part !== "member", part !== "reader", resolve, intervals);
      if (part === "reader") this.#readers[channel]!.push(reader);
      if (part === "hearing member") this.#listening[channel]!.push(reader);
      const listener: StreamListener = {
        message: (bytes, start, end) => reader.message(bytes, start, end),
        ended: (reason) => {
          if (!this.plan.mayBeRefused) reader.ended(reason);
          resolve();
        },
      };
      connection.call(PATH.subscribe, subscribeCall(channelName(channel), user, part), listener);
    });
  }

  #answerIn(channel: number): StreamListener {
    let answered = false;
    return {
      message: (bytes, start, end) => {
        answered = true;
        this.#revision[channel] = Math.max(this.#revision[channel]!, positionOf(bytes, start, end));
        this.tally.answer();
      },
      ended: (reason) => {
        if (answered) return;
        if (this.plan.mayBeRefused) this.tally.answer();
        else this.tally.fault(`SetState ${reason}`);
      },
    };
  }
}

interface StreamToOpen {
  channel: number;
  user: string;
  part: Part;
}

const answerFields = new FieldScanner();
const positionFields = new FieldScanner();

/** The revision in a SetStateResponse; 0 in the empty answer of a baseline. */
function positionOf(bytes: Buffer, start: number, end: number): number {
  const fields = answerFields.enter(bytes, start, end);
  for (let number = fields.field(); number !== 0; number = fields.field()) {
    if (number !== 3) continue;
    const position = positionFields.enter(bytes, fields.start, fields.end);
    for (let inner = position.field(); inner !== 0; inner = position.field()) if (inner === 2) return position.value;
  }
  return 0;
}
