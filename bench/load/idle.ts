import { joinCall, PATH, subscribeCall } from "./calls.js";
import type { Sockets } from "./sockets.js";

/** Members who join many channels and then keep quiet. */
export interface IdleOrder {
  address: string;
  connections: number;
  /** The channels' names begin so; another run of the same server takes another. */
  prefix: string;
  channels: number;
  perChannel: number;
  /** Bytes of each member's state; for leases alone. Default: no state. */
  stateBytes?: number;
  /** A stream per member, present or quiet; a lease; or a stream that is cancelled as soon as the member is in. */
  by: "streams" | "quiet streams" | "leases" | "passing streams";
}

/** Calls that wait for their answer on one connection. */
const AT_ONCE = 20;

/** Brings the members in; resolves with their number once the server has taken all of them. */
export async function bringIn(order: IdleOrder, sockets: Sockets): Promise<number> {
  const members = order.channels * order.perChannel;
  const each = Math.ceil(members / order.connections);
  const parts = Array.from({ length: order.connections }, (_, i) => i * each).map((from) =>
    bringPartIn(order, sockets, from, Math.min(from + each, members)),
  );
  await Promise.all(parts);
  return members;
}

async function bringPartIn(order: IdleOrder, sockets: Sockets, from: number, to: number): Promise<void> {
  let lost = (_reason: string) => {};
  const connection = await sockets.grpc(order.address, (reason) => lost(reason));
  await new Promise<void>((resolve, reject) => {
    lost = (reason) => reject(new Error(reason));
    let next = from;
    let taken = from;
    const openNext = () => {
      const member = next++;
      const channel = `${order.prefix}${Math.floor(member / order.perChannel)}`;
      const user = `${order.prefix}u${member}`;
      let entered = false;
      const id = connection.call(order.by === "leases" ? PATH.join : PATH.subscribe, requestFor(order, channel, user), {
        message: () => {
          if (entered) return;
          entered = true;
          if (order.by === "passing streams") connection.cancel(id);
          if (++taken === to) resolve();
          else if (next < to) openNext();
        },
        ended: (reason) => {
          if (!entered || order.by.endsWith("streams")) reject(new Error(`a member's call ${reason}`));
        },
      });
    };
    while (next < to && next - from < AT_ONCE) openNext();
    connection.flush();
  });
  connection.flush();
}

function requestFor({ by, stateBytes }: IdleOrder, channel: string, user: string): Buffer {
  if (by === "leases") return joinCall(channel, user, stateBytes);
  if (by === "quiet streams") return subscribeCall(channel, user, "reader");
  return subscribeCall(channel, user, "hearing member", { Mode: "idle" });
}
