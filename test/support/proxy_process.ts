import { type ChildProcess, spawn, spawnSync } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { connect } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { endChild } from "./child.js";
import { codeBlock } from "./readme.js";

/** A proxy whose configuration docs/proxies.md has. */
export type ProxyName = "nginx" | "haproxy";

/** What differs between the documented configuration and the one that runs. */
export interface ProxyOptions {
  /** `host:port` of the server. */
  readonly target: string;
  /** The idle timeouts, instead of 60 s. */
  readonly idleSeconds: number;
}

/** Whether the proxy is installed. */
export function isInstalled(name: ProxyName): boolean {
  return spawnSync(name, ["-v"]).status === 0;
}

/** A real proxy with the documented configuration, which listens on a unix socket in a folder of its own. */
export class ProxyProcess {
  private constructor(
    private readonly child: ChildProcess,
    private readonly folder: string,
    /** Where clients reach it. */
    readonly socket: string,
  ) {}

  static async start(name: ProxyName, { target, idleSeconds }: ProxyOptions): Promise<ProxyProcess> {
    const folder = await mkdtemp(join(tmpdir(), `rollcall-${name}-`));
    const socket = join(folder, "socket");
    const documented = codeBlock(await readFile("docs/proxies.md", "utf8"), { marker: `test: ${name}` }).code;
    const config = documented.replaceAll("127.0.0.1:50051", target).replaceAll("60s", `${idleSeconds}s`);
    const file = join(folder, "config");
    if (name === "nginx") {
      const temporary = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"];
      const paths = temporary.map((kind) => `${kind}_temp_path ${join(folder, kind)};`).join(" ");
      const servers = config.replace("listen 8080", `listen unix:${socket}`);
      const user = process.getuid?.() === 0 ? "user root;" : "";
      await writeFile(
        file,
        `${user} daemon off; pid ${join(folder, "pid")}; events {} http { access_log off; ${paths} ${servers} }`,
      );
    } else {
      await writeFile(file, config.replace("bind :8080", `bind unix@${socket}`));
    }
    const args = name === "nginx" ? ["-c", file, "-e", join(folder, "log")] : ["-f", file];
    const child = spawn(name, args, { stdio: "ignore" });
    const proxy = new ProxyProcess(child, folder, socket);
    await proxy.#listening();
    return proxy;
  }

  /** Ends it, and its folder. */
  async end(): Promise<void> {
    await endChild(this.child, "SIGTERM");
    await rm(this.folder, { recursive: true, force: true });
  }

  async #listening(): Promise<void> {
    const exited = once(this.child, "exit").then(() => {
      throw new Error("the proxy ended before it listened");
    });
    exited.catch(() => {});
    for (;;) {
      const socket = connect(this.socket);
      const connected = await Promise.race([
        once(socket, "connect").then(
          () => true,
          () => false,
        ),
        exited,
      ]);
      socket.destroy();
      if (connected) return;
      await new Promise(setImmediate);
    }
  }
}
