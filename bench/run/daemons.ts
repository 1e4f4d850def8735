import { execFileSync } from "node:child_process";
import { accessSync, constants, readFileSync } from "node:fs";
import { connect, createServer } from "node:net";
import { delimiter, join } from "node:path";
import { setTimeout as sleep } from "node:timers/promises";
import type { Children } from "./children.js";
import type { ServerUnderTest } from "./subject.js";

const HOST = "127.0.0.1";
const START_MS = 10_000;

/** How a foreign server is started: without any configuration of the system's, in a directory of its own. */
export interface Daemon {
  command: string;
  args(port: number, otherPort: number, dir: string): string[];
}

/** The foreign servers that the bench knows. */
export const DAEMONS = {
  redis: {
    command: "redis-server",
    args: (port, _, dir) => `--bind ${HOST} --port ${port} --dir ${dir} --appendonly no --save`.split(" ").concat(""),
  },
  nats: { command: "nats-server", args: (port) => ["-a", HOST, "-p", String(port)] },
  etcd: {
    command: "etcd",
    args: (port, peerPort, dir) => [
      `--data-dir=${dir}`,
      `--listen-client-urls=http://${HOST}:${port}`,
      `--advertise-client-urls=http://${HOST}:${port}`,
      `--listen-peer-urls=http://${HOST}:${peerPort}`,
      `--initial-advertise-peer-urls=http://${HOST}:${peerPort}`,
      `--initial-cluster=default=http://${HOST}:${peerPort}`,
      "--log-level=error",
    ],
  },
} satisfies Record<string, Daemon>;

/** Whether a command is on PATH. */
export function onPath(command: string): boolean {
  return (process.env.PATH ?? "").split(delimiter).some((dir) => {
    try {
      accessSync(join(dir, command), constants.X_OK);
      return true;
    } catch {
      return false;
    }
  });
}

/** The version of a daemon. */
export function versionOf({ command }: Daemon): string {
  const said = execFileSync(command, ["--version"], { encoding: "utf8", stdio: ["ignore", "pipe", "ignore"] });
  return /\d+(\.\d+)+/.exec(said)?.[0] ?? "unknown";
}

/** Starts a daemon on a free port and waits until it takes connections. */
export async function startDaemon(daemon: Daemon, children: Children): Promise<ServerUnderTest> {
  const [port, otherPort] = await freePorts();
  const pid = children.spawn(daemon.command, daemon.args(port, otherPort, children.directory()));
  await accepting(port);
  return {
    address: `${HOST}:${port}`,
    cpu: async () => cpuOf(pid),
    stall: async () => Number.NaN,
    lagging: async () => Number.NaN,
    memory: () => Promise.reject(new Error("the memory of a foreign server is not compared")),
    stop: () => children.end(pid),
  };
}

/** User and system time of a process in microseconds, from Linux's /proc, in steps of 10 ms. */
function cpuOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, "utf8");
  const fields = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  const ticks = Number(fields[11]) + Number(fields[12]);
  return ticks * 10_000;
}

async function freePorts(): Promise<[number, number]> {
  const servers = [createServer(), createServer()];
  const ports = await Promise.all(
    servers.map(
      (server) =>
        new Promise<number>((resolve) =>
          server.listen(0, HOST, () => resolve((server.address() as { port: number }).port)),
        ),
    ),
  );
  await Promise.all(servers.map((server) => new Promise((resolve) => server.close(resolve))));
  return [ports[0]!, ports[1]!];
}

async function accepting(port: number): Promise<void> {
  const deadline = Date.now() + START_MS;
  for (;;) {
    const open = await new Promise<boolean>((resolve) => {
      const socket = connect(port, HOST);
      socket.once("connect", () => {
        socket.destroy();
        resolve(true);
      });
      socket.once("error", () => resolve(false));
    });
    if (open) return;
    if (Date.now() > deadline) throw new Error(`nothing listens on ${HOST}:${port}`);
    await sleep(20);
  }
}
