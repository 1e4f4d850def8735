import { spawn } from "node:child_process";
import { createInterface } from "node:readline";
import { connect, message } from "../support/calls.js";
import { endChild } from "../support/child.js";
import { Inbox } from "../support/inbox.js";
import { Listener } from "../support/listener.js";
import { startTestServer } from "../support/server.js";
import { TcpProxy } from "../support/tcp_proxy.js";

/**
 * Runs a program of `examples/` as tony in chat_room, cuts its connection, and sees that it comes back with its session,
 * that anna hears nothing of that, and that it still hears of her. Rejects when anything of this is not so.
 */
export async function runExample(command: readonly string[], cwd: string): Promise<void> {
  const server = await startTestServer();
  const proxy = await TcpProxy.to(server.address);
  const { client, channel } = connect(server.address);
  const anna = new Listener(client, { channel: message("chat_room"), userId: "anna" });
  // Before the example starts: a compiled one joins within milliseconds, and anna is to hear of it.
  await anna.opened();
  const [program, ...args] = [...command, proxy.address, "chat_room", "tony"];
  const child = spawn(program!, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  const lines = new Inbox<string>();
  let said = "";
  createInterface({ input: child.stdout! }).on("line", (line) => lines.push(line));
  child.stderr!.on("data", (chunk) => {
    said += chunk;
  });
  child.once("close", () => lines.end(new Error(`the example ended: ${said}`)));
  try {
    // Its end, should it not even start, is told here.
    await lines.until((line) => line === "joined", "the example to join");
    await anna.expect("remoteJoin");
    await anna.expect("remoteStateChanged");
    await lines.until((line) => line.startsWith("snapshot"), "its snapshot");
    proxy.cut();
    await lines.until((line) => line === "back again", "its return");
    await client.setState({ channel: message("chat_room"), userId: "anna", states: { Mood: "calm" } });
    await lines.until((line) => line.includes("calm"), "what it hears of anna");
    await client.leaveChannel({ channel: message("chat_room"), userId: "tony" });
    await anna.expect("remoteLeave");
  } finally {
    await endChild(child);
    channel.close();
    await proxy.close();
    await server.close();
  }
}
