import { setTimeout as sleep } from "node:timers/promises";
import { countCall, heartbeatCall, joinCall, PATH } from "./calls.js";
import { FieldScanner } from "./event_scanner.js";
import type { H2Connection } from "./h2_connection.js";
import type { Sockets } from "./sockets.js";

/** Users whom one back end holds present by leases. */
export interface LeaseOrder {
  address: string;
  users: number;
  channels: number;
  /** The channels' names begin so, and the users' too. */
  prefix: string;
  /** The number of the first user, where there are others already. Default 0. */
  first?: number;
  /** Joins that begin in a second, evenly; 0: as fast as they are answered. */
  perSecond: number;
}

/** Sessions that one Heartbeat renews: the most that the contract allows. */
const PER_HEARTBEAT = 1000;

/** Joins that wait for their answer. */
const AT_ONCE = 100;

/** How often joins that keep to a pace are begun, in ms. */
const TICK_MS = 10;

/** How leases are to be kept. */
export interface RenewOrder {
  rounds: number;
  /** From the beginning of a round to that of the next; a third of what the leases live. */
  everyMs: number;
}

/** A back end that holds leases and renews them, on one connection. */
export class Leases {
  readonly #sessions: string[] = [];
  /** Hears when the connection is lost, while somebody waits. */
  #onLost: (error: Error) => void = () => {};

  private constructor(private readonly connection: H2Connection) {}

  /** Joins everybody; resolves once all are in. */
  static async take(order: LeaseOrder, sockets: Sockets): Promise<Leases> {
    const leases: Leases = new Leases(await sockets.grpc(order.address, (reason) => leases.#onLost(new Error(reason))));
    await leases.#join(order);
    return leases;
  }

  /** Renews all of them, round after round, the calls of a round one after the other; resolves with how many it was. */
  async renew({ rounds, everyMs }: RenewOrder): Promise<number> {
    const heartbeats: Buffer[] = [];
    for (let from = 0; from < this.#sessions.length; from += PER_HEARTBEAT) {
      heartbeats.push(heartbeatCall(this.#sessions.slice(from, from + PER_HEARTBEAT), 3 * everyMs));
    }
    const start = performance.now();
    for (let round = 0; round < rounds; round++) {
      await sleep(Math.max(0, start + round * everyMs - performance.now()));
      for (const heartbeat of heartbeats) await this.#heartbeat(heartbeat);
    }
    return rounds * this.#sessions.length;
  }

  async #join({ users, channels, prefix, first = 0, perSecond }: LeaseOrder): Promise<void> {
    const start = performance.now();
    let pace: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve, reject) => {
      this.#onLost = reject;
      let begun = 0;
      const begin = (): void => {
        const due = perSecond === 0 ? users : ((performance.now() - start) / 1000) * perSecond;
        const most = Math.min(users, due, this.#sessions.length + AT_ONCE);
        for (; begun < most; begun++) {
          const user = first + begun;
          let entered = false;
          this.connection.call(PATH.join, joinCall(`${prefix}${user % channels}`, `${prefix}-user-${user}`), {
            message: (bytes, from, to) => {
              entered = true;
              this.#sessions.push(sessionOf(bytes, from, to));
              if (this.#sessions.length === users) resolve();
              else begin();
            },
            ended: (reason) => {
              if (!entered) reject(new Error(`JoinChannel ${reason}`));
            },
          });
        }
        this.connection.flush();
      };
      begin();
      pace = setInterval(begin, TICK_MS);
    }).finally(() => clearInterval(pace));
  }

  #heartbeat(request: Buffer): Promise<void> {
    return new Promise((resolve, reject) => {
      this.#onLost = reject;
      let answered = false;
      this.connection.call(PATH.heartbeat, request, {
        message: (_bytes, from, to) => {
          answered = true;
          if (from === to) resolve();
          else reject(new Error("some of the leases are gone"));
        },
        ended: (reason) => {
          if (!answered) reject(new Error(`Heartbeat ${reason}`));
        },
      });
      this.connection.flush();
    });
  }
}

/** Calls that count the users of a channel. */
export interface CountOrder {
  address: string;
  channel: string;
  calls: number;
}

/** Calls that wait for their answer. */
const COUNTS_AT_ONCE = 10;

/** Counts, over and over; resolves once all calls are answered. */
export async function countUsers({ address, channel, calls }: CountOrder, sockets: Sockets): Promise<void> {
  let lost = (_reason: string) => {};
  const connection = await sockets.grpc(address, (reason) => lost(reason));
  const request = countCall(channel);
  await new Promise<void>((resolve, reject) => {
    lost = (reason) => reject(new Error(reason));
    let begun = 0;
    let answered = 0;
    const next = (): void => {
      begun++;
      let done = false;
      connection.call(PATH.listOnlineUsers, request, {
        message: () => {
          done = true;
          if (++answered === calls) resolve();
          else if (begun < calls) next();
        },
        ended: (reason) => {
          if (!done) reject(new Error(`ListOnlineUsers ${reason}`));
        },
      });
    };
    while (begun < Math.min(calls, COUNTS_AT_ONCE)) next();
    connection.flush();
  });
}

const fields = new FieldScanner();

/** The `session_id` of a JoinChannelResponse. */
function sessionOf(bytes: Buffer, start: number, end: number): string {
  fields.enter(bytes, start, end);
  for (let number = fields.field(); number !== 0; number = fields.field()) {
    if (number === 1) return bytes.toString("latin1", fields.start, fields.end);
  }
  throw new Error("a JoinChannelResponse names no session");
}
