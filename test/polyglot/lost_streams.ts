import { endChild } from "../support/child.js";
import { TcpProxy } from "../support/tcp_proxy.js";
import type { Outcome, Runner } from "./runner.js";
import { startServe } from "./tools.js";

/** Ways to lose a stream: a signal to the server's process, or what a proxy does to the connection. */
const WAYS = ["SIGKILL", "SIGTERM", "FIN", "RST"] as const;
type Way = (typeof WAYS)[number];

const request = { channel: { type: "CHANNEL_TYPE_MESSAGE", name: "chat_room" }, userId: "tony" };

/** The code with which a library ends a stream that is lost, as the table in docs/clients.md says. */
function documented(way: Way, library: string): string {
  if (way === "SIGTERM") return "UNAVAILABLE";
  if (library === "rust") return "UNKNOWN";
  if (library === "ts-connect") return way === "RST" ? "ABORTED" : "CANCELLED";
  return "UNAVAILABLE";
}

/** Loses a stream of each library in each way. Rejects where one does not end with the documented code. */
export async function loseStreams(runners: ReadonlyMap<string, Runner>): Promise<void> {
  const wrong: string[] = [];
  for (const way of WAYS) {
    for (const [name, { code, reason }] of await lose(way, runners)) {
      if (code !== documented(way, name)) wrong.push(`${name} after ${way}: ${code}, not ${documented(way, name)}`);
      if (way === "SIGTERM" && reason !== "SERVER_DRAINING") wrong.push(`${name} after SIGTERM: reason "${reason}"`);
    }
  }
  if (wrong.length > 0) throw new Error(wrong.join("; "));
}

async function lose(way: Way, runners: ReadonlyMap<string, Runner>): Promise<[string, Outcome][]> {
  const { child, address } = await startServe();
  const proxy = await TcpProxy.to(address);
  try {
    for (const runner of runners.values()) {
      await runner.connect(way.startsWith("SIG") ? address : proxy.address);
      await runner.tell({ call: "SubscribePresence", request, stream: "lost" });
      await runner.stream("lost")!.events.next();
    }
    if (way === "FIN") proxy.cut();
    else if (way === "RST") proxy.reset();
    else child.kill(way);
    const ended = [...runners].map(async ([name, runner]): Promise<[string, Outcome]> => {
      return [name, await runner.stream("lost")!.end.next()];
    });
    return await Promise.all(ended);
  } finally {
    await proxy.close();
    await endChild(child);
  }
}
