import { type ChildProcess, fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";

/** Starts the subscriber of `subscriber_process.ts`; resolves once its stream is open. */
export async function startSubscriberProcess(
  address: string,
  channel: string,
  userId: string,
  environment: Readonly<Record<string, string>> = {},
): Promise<ChildProcess> {
  const path = fileURLToPath(new URL("./subscriber_process.ts", import.meta.url));
  const child = fork(path, [address, channel, userId], {
    execArgv: ["--import", "tsx"],
    env: { ...process.env, ...environment },
  });
  const exited = once(child, "exit").then(() => {
    throw new Error("the subscriber process ended before it was subscribed");
  });
  await Promise.race([once(child, "message"), exited]);
  exited.catch(() => {});
  return child;
}

/** Ends a child by its id, and waits until it is gone. */
export async function endChild(child: ChildProcess, signal: NodeJS.Signals = "SIGKILL"): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  const gone = once(child, "exit");
  child.kill(signal);
  await gone;
}
