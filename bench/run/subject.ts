import { existsSync } from "node:fs";
import { platform } from "node:os";
import type { Protocol } from "../load/load.js";
import type { Memory, ServerCalls } from "../servers/child.js";
import type { Children } from "./children.js";
import { DAEMONS, type Daemon, onPath, startDaemon } from "./daemons.js";

/** Who is measured. */
export type SubjectName =
  | "rollcall"
  | "floor"
  | "floor_joined"
  | "grpc_ready"
  | "grpc_naive"
  | "socket_io"
  | "etcd"
  | "nats"
  | "redis";

/** A server in a process of its own. */
export interface ServerUnderTest {
  address: string;
  /** User and system time so far, in microseconds. */
  cpu(): Promise<number>;
  /** Longest hold-up of the event loop since the last time, in milliseconds; NaN where it can't be known. */
  stall(): Promise<number>;
  memory(): Promise<Memory>;
  /** How many readers are behind at this moment; NaN where it can't be known. */
  lagging(): Promise<number>;
  stop(): Promise<void>;
}

/** A kind of server, and how to start one. */
export interface Subject {
  label: string;
  protocol: Protocol;
  /** Members that read hear their own changes. */
  hearsOwn: boolean;
  /** Why it can't run here, or undefined. */
  missing(): string | undefined;
  start(children: Children, settings: object, nodeFlags: string[]): Promise<ServerUnderTest>;
}

const SERVER_BUILD = new URL("../../dist/src/server/server.js", import.meta.url);

/** All that can be measured. */
export const SUBJECTS: Record<SubjectName, Subject> = {
  rollcall: {
    ...ours("rollcall", "rollcall"),
    hearsOwn: false,
    missing: () => (existsSync(SERVER_BUILD) ? undefined : "rollcall is not built (npm run build)"),
  },
  floor: ours("bare node:http2", "floor"),
  floor_joined: ours("bare node:http2, bursts joined", "floor", (burst) => ({ join: burst })),
  grpc_ready: ours("grpc-js, ready bytes", "grpc_ready"),
  grpc_naive: ours("grpc-js, naive", "grpc_naive"),
  socket_io: { ...ours("Socket.IO", "socket_io"), protocol: "socket_io" },
  etcd: foreign("etcd watch", "etcd", DAEMONS.etcd),
  nats: foreign("NATS core", "nats", DAEMONS.nats),
  redis: foreign("Redis pub/sub", "redis", DAEMONS.redis),
};

/** A server of the bench's own, in `bench/servers/`. */
function ours(label: string, file: string, more?: (burst: number) => object): Subject {
  return {
    label,
    protocol: "presence",
    hearsOwn: true,
    missing: () => undefined,
    start: async (children, settings, nodeFlags) => {
      const burst = "burst" in settings ? Number(settings.burst) : 1;
      const remote = await children.fork<ServerCalls>(
        new URL(`../servers/${file}.ts`, import.meta.url),
        { ...settings, ...more?.(burst) },
        file === "rollcall" ? nodeFlags : [],
      );
      return {
        address: remote.ready,
        cpu: () => remote.call("cpu"),
        stall: () => remote.call("stall"),
        memory: () => remote.call("memory"),
        lagging: async () => (await remote.call("lagging")) ?? Number.NaN,
        stop: () => children.end(remote.pid, () => remote.call("stop")),
      };
    },
  };
}

function foreign(label: string, protocol: Protocol, daemon: Daemon): Subject {
  return {
    label,
    protocol,
    hearsOwn: true,
    missing: () => {
      if (!onPath(daemon.command)) return `${daemon.command} was not found on PATH`;
      if (platform() !== "linux") return `the CPU time of ${daemon.command} can be read on Linux only`;
      return undefined;
    },
    start: (children) => startDaemon(daemon, children),
  };
}
