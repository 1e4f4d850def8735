import { answerCalls } from "../servers/child.js";
import type { Part } from "./calls.js";
import { Crowd, type CrowdPlan, type Entered } from "./crowd.js";
import { nats, redis, socketIo } from "./dialects.js";
import { EtcdLoad } from "./etcd_load.js";
import { type Fired, type FireOrder, fire, type SteadyOrder, steady } from "./fire.js";
import { bringIn, type IdleOrder } from "./idle.js";
import { type LargeJoin, type LargeJoined, largeJoin } from "./large_join.js";
import { type CountOrder, countUsers, type LeaseOrder, Leases, type RenewOrder } from "./leases.js";
import type { Load, Plan } from "./load.js";
import { PresenceLoad } from "./presence_load.js";
import { Sockets } from "./sockets.js";
import { TextLoad } from "./text_load.js";

/** What the runner can ask of the process that holds the readers. */
export interface LoadCalls {
  /** Puts readers and members in place; those of an earlier call stay. */
  open(plan: Plan): Promise<void>;
  fire(order: FireOrder): Promise<Fired>;
  steady(order: SteadyOrder): Promise<Fired>;
  /** Fails unless each reader got exactly what it should have got. */
  verify(): void;
  gather(plan: CrowdPlan): Promise<void>;
  enter(part: Part, count: number, atOnce: number): Promise<Entered>;
  bringIn(order: IdleOrder): Promise<number>;
  takeLeases(order: LeaseOrder): Promise<void>;
  renew(order: RenewOrder): Promise<number>;
  largeJoin(order: LargeJoin): Promise<LargeJoined>;
  countUsers(order: CountOrder): Promise<void>;
  /** Closes all connections and forgets all counts, for the next sample. */
  leave(): void;
}

function loadFor(plan: Plan, sockets: Sockets): Load {
  switch (plan.protocol) {
    case "presence":
      return new PresenceLoad(plan, sockets);
    case "etcd":
      return new EtcdLoad(plan, sockets);
    case "redis":
      return new TextLoad(plan, sockets, redis);
    case "nats":
      return new TextLoad(plan, sockets, nats);
    case "socket_io":
      return new TextLoad(plan, sockets, socketIo);
  }
}

function serveLoad(): LoadCalls {
  const sockets = new Sockets();
  let load: Load | undefined;
  let crowd: Crowd | undefined;
  let leases: Leases | undefined;
  return {
    open: async (plan) => {
      load = loadFor(plan, sockets);
      await load.open();
    },
    fire: (order) => fire(load!, order),
    steady: (order) => steady(load!, order),
    verify: () => {
      load!.verify();
      if (load!.tally.faults.length > 0) throw new Error(load!.tally.faults.join("; "));
    },
    gather: async (plan) => {
      crowd = await Crowd.gather(plan, sockets);
    },
    enter: (part, count, atOnce) => crowd!.enter(part, count, atOnce),
    bringIn: (order) => bringIn(order, sockets),
    takeLeases: async (order) => {
      leases = await Leases.take(order, sockets);
    },
    renew: (order) => leases!.renew(order),
    largeJoin: (order) => largeJoin(order, sockets),
    countUsers: (order) => countUsers(order, sockets),
    leave: () => {
      sockets.closeAll();
      load = undefined;
      crowd = undefined;
      leases = undefined;
    },
  };
}

process.on("SIGINT", () => {});
process.on("disconnect", () => process.exit());
answerCalls(serveLoad());
process.send?.({ ready: "" });
