import { PATH, subscribeCall } from "./calls.js";
import { EVENT, EventScanner, FieldScanner } from "./event_scanner.js";
import type { Sockets } from "./sockets.js";

/** Users who join a channel one after the other, each reading its whole snapshot. */
export interface LargeJoin {
  address: string;
  channel: string;
  /** Their names are made of this and a number. */
  prefix: string;
  joins: number;
  /** They stay and go on reading, instead of leaving before the next one comes. */
  stay?: boolean;
  /** A baseline sends so many bytes and marks no end. */
  bytes?: number;
}

/** What that took. */
export interface LargeJoined {
  /** Milliseconds from the call to the last byte of the snapshot, of each join. */
  ms: number[];
  /** Bytes of one join, as they came in messages. */
  bytes: number;
}

const messageFields = new FieldScanner();
const bodyFields = new FieldScanner();
const event = new EventScanner();

/** Lets them join, each over a connection of its own. */
export async function largeJoin(order: LargeJoin, sockets: Sockets): Promise<LargeJoined> {
  const joined: LargeJoined = { ms: [], bytes: 0 };
  for (let i = 0; i < order.joins; i++) {
    let lost = (_reason: string) => {};
    const connection = await sockets.grpc(order.address, (reason) => lost(reason));
    joined.bytes = 0;
    await new Promise<void>((resolve, reject) => {
      const start = performance.now();
      lost = (reason) => reject(new Error(reason));
      let done = false;
      const user = `${order.prefix}${i}`;
      const id = connection.call(PATH.subscribe, subscribeCall(order.channel, user, "hearing member"), {
        message: (bytes, from, to) => {
          if (done) return;
          joined.bytes += to - from;
          if (order.bytes === undefined ? !endsSnapshot(bytes, from, to) : joined.bytes < order.bytes) return;
          joined.ms.push(performance.now() - start);
          done = true;
          if (!order.stay) connection.cancel(id);
          resolve();
        },
        ended: (reason) => reject(new Error(`the stream of ${user} ${reason}`)),
      });
      connection.flush();
    });
    connection.flush();
  }
  return joined;
}

function endsSnapshot(bytes: Buffer, start: number, end: number): boolean {
  const fields = messageFields.enter(bytes, start, end);
  while (fields.field() !== 0) {
    event.read(bytes, fields.start, fields.end);
    if (event.kind !== EVENT.snapshot) continue;
    const body = bodyFields.enter(bytes, event.bodyStart, event.bodyEnd);
    for (let number = body.field(); number !== 0; number = body.field()) {
      if (number === 2 && body.value === 1) return true;
    }
  }
  return false;
}
