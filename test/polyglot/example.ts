import { spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import { connect, message } from "../support/calls.js";
import { endChild } from "../support/child.js";
import { Inbox } from "../support/inbox.js";
import { Listener } from "../support/listener.js";
import { startTestServer } from "../support/server.js";
import { TcpProxy } from "../support/tcp_proxy.js";

const ROOM = { channel: message("chat_room") };
const TONY = { ...ROOM, userId: "tony" };

/**
 * Runs a program of `examples/` as tony in chat_room and loses its connection twice. After a return in time anna has
 * received no event of it; after one that is too late, another device of tony keeps him present. What another device
 * set meanwhile stays in both cases, and the program still receives anna's events. SIGINT makes it leave. Rejects when
 * anything of this does not hold.
 */
export async function runExample(command: readonly string[], cwd: string): Promise<void> {
  const server = await startTestServer();
  const proxy = await TcpProxy.to(server.address);
  const { client, channel } = connect(server.address);
  const anna = new Listener(client, { ...ROOM, userId: "anna" });
  // Before the example starts: a compiled one joins within milliseconds, and anna has to receive that.
  await anna.opened();
  const [program, ...args] = [...command, proxy.address, "chat_room", "tony"];
  const child = spawn(program!, args, { cwd, stdio: ["ignore", "pipe", "pipe"] });
  const lines = new Inbox<string>();
  let errors = "";
  createInterface({ input: child.stdout! }).on("line", (line) => lines.push(line));
  child.stderr!.on("data", (chunk) => {
    errors += chunk;
  });
  const ended = once(child, "close");
  child.once("close", () => lines.end(new Error(`the example ended: ${errors}`)));

  const lose = async () => {
    proxy.refuse();
    await lines.until((line) => line.startsWith("lost"), "the loss of its stream");
  };
  const stays = async (mode: string) => {
    const { state } = await client.getState(TONY);
    if (state?.states.Mode !== mode) throw new Error(`Mode is ${state?.states.Mode} after its return, not ${mode}`);
  };
  try {
    // An example that does not start rejects here, with what it wrote to standard error.
    await lines.until((line) => line === "joined", "the example to join");
    await anna.expect("remoteJoin");
    await anna.expect("remoteStateChanged");
    await lines.until((line) => line.startsWith("snapshot"), "its snapshot");

    await lose();
    await client.setState({ ...TONY, states: { Mode: "Away" } });
    await anna.expect("remoteStateChanged");
    proxy.flow();
    await lines.until((line) => line === "back again", "its return");
    await client.setState({ ...ROOM, userId: "anna", states: { Mood: "calm" } });
    await lines.until((line) => line.includes("calm"), "anna's state");
    await stays("Away");

    await lose();
    await client.leaveChannel(TONY);
    await anna.expect("remoteLeave");
    const desktop = await client.joinChannel({ ...TONY, deviceId: "desktop", initialStates: { Mode: "Busy" } });
    await anna.expect("remoteJoin");
    await anna.expect("remoteStateChanged");
    proxy.flow();
    await lines.until((line) => line === "joined", "its second join");
    await client.setState({ ...ROOM, userId: "anna", states: { Mood: "sad" } });
    await lines.until((line) => line.includes("sad"), "anna's state");
    await stays("Busy");

    await client.leaveChannel({ ...TONY, sessionId: desktop.sessionId });
    child.kill("SIGINT");
    await anna.expect("remoteLeave");
    const [code] = await ended;
    // 130: a Java program that SIGINT ended.
    if (code !== 0 && code !== 130) throw new Error(`it ended with ${code} after SIGINT: ${errors}`);
  } finally {
    await endChild(child);
    channel.close();
    await proxy.close();
    await server.close();
  }
}
