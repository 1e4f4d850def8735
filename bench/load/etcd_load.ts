import { BinaryWriter } from "@bufbuild/protobuf/wire";
import { FieldScanner } from "./event_scanner.js";
import type { H2Connection, StreamListener } from "./h2_connection.js";
import { channelName, Load } from "./load.js";
import { findStamp, nowMicros, readStamp, stampOf } from "./stamp.js";

const WATCH = "/etcdserverpb.Watch/Watch";
const PUT = "/etcdserverpb.KV/Put";
const WATCH_RESPONSE = { created: 3, canceled: 4, events: 11 } as const;
/** Brings etcd's event, with its own bookkeeping, to the size of a presence event. */
const PADDING = ".".repeat(60);
const OPENING_AT_ONCE = 200;

/** One etcd watch stream per reader, one Put per change. */
export class EtcdLoad extends Load {
  readonly #connections: H2Connection[] = [];
  readonly #heard: { changes: number; channel: number }[] = [];
  readonly #changes: number[] = [];
  #trigger!: H2Connection;

  async open(): Promise<void> {
    const { address, connections } = this.plan;
    const onLost = (reason: string) => this.tally.fault(reason);
    this.#trigger = await this.sockets.grpc(address, onLost);
    for (let i = 0; i < connections; i++) this.#connections.push(await this.sockets.grpc(address, onLost));
    this.#changes.push(...Array.from({ length: this.aloneChannel + 1 }, () => 0));
    const readers = this.plan.channels * this.plan.readersPerChannel;
    for (let from = 0; from < readers; from += OPENING_AT_ONCE) {
      const batch = Array.from({ length: Math.min(OPENING_AT_ONCE, readers - from) }, (_, i) => this.#watch(from + i));
      for (const connection of this.#connections) connection.flush();
      await Promise.all(batch);
    }
  }

  bytesReceived(): number {
    return this.#connections.reduce((sum, connection) => sum + connection.bytesReceived, 0);
  }

  verify(): void {
    for (const { changes, channel } of this.#heard) {
      if (changes !== this.#changes[channel]) {
        this.tally.fault(`a watcher got ${changes} of ${this.#changes[channel]} changes`);
      }
    }
  }

  protected send(channel: number): void {
    this.#changes[channel] = this.#changes[channel]! + 1;
    let answered = false;
    this.#trigger.call(PUT, putRequest(channelName(channel)), {
      message: () => {
        answered = true;
        this.tally.answer();
      },
      ended: (reason) => {
        if (!answered) this.tally.fault(`Put ${reason}`);
      },
    });
  }

  protected flush(): void {
    this.#trigger.flush();
  }

  #watch(reader: number): Promise<void> {
    const channel = Math.floor(reader / this.plan.readersPerChannel);
    const heard = { changes: 0, channel };
    this.#heard.push(heard);
    const fields = new FieldScanner();
    return new Promise((resolve) => {
      const listener: StreamListener = {
        message: (bytes, start, end) => {
          this.tally.messages++;
          fields.enter(bytes, start, end);
          for (let number = fields.field(); number !== 0; number = fields.field()) {
            if (number === WATCH_RESPONSE.created) resolve();
            if (number === WATCH_RESPONSE.canceled) this.tally.fault("etcd cancelled a watch");
            if (number !== WATCH_RESPONSE.events) continue;
            heard.changes++;
            this.tally.deliver(readStamp(bytes, findStamp(bytes, fields.start, fields.end)));
          }
        },
        ended: (reason) => this.tally.fault(`a watch ${reason}`),
      };
      const connection = this.#connections[reader % this.#connections.length]!;
      connection.call(WATCH, watchCreateRequest(channelName(channel)), listener, false);
    });
  }
}

function putRequest(key: string): Buffer {
  const value = stampOf(nowMicros()) + PADDING;
  return Buffer.from(new BinaryWriter().tag(1, 2).string(key).tag(2, 2).string(value).finish());
}

function watchCreateRequest(key: string): Buffer {
  const create = new BinaryWriter().tag(1, 2).string(key).finish();
  return Buffer.from(new BinaryWriter().tag(1, 2).bytes(create).finish());
}
