import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
}

/** A TCP proxy on 127.0.0.1 that a test can let fail. */
export class TcpProxy {
  readonly #pairs = new Set<Pair>();
  #stalled = false;

  private constructor(
    private readonly server: Server,
    /** `host:port` for clients. */
    readonly address: string,
  ) {}

  /** Starts a proxy to `target` (`host:port`). */
  static async to(target: string): Promise<TcpProxy> {
    const [host, port] = target.split(":");
    const server = createServer((near) => proxy.#join(near, connect(Number(port), host)));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const proxy: TcpProxy = new TcpProxy(server, `127.0.0.1:${(server.address() as AddressInfo).port}`);
    return proxy;
  }

  /** Cuts every connection, both ends at once; new ones are taken. */
  cut(): void {
    for (const { near, far } of this.#pairs) {
      near.destroy();
      far.destroy();
    }
  }

  /** Takes nothing more from the server: what it writes fills the pipes, as with a client that does not read. */
  stall(): void {
    this.#stalled = true;
    for (const { far, near } of this.#pairs) {
      far.unpipe(near);
      far.pause();
    }
  }

  /** Reads on after `stall`. */
  flow(): void {
    this.#stalled = false;
    for (const { far, near } of this.#pairs) far.pipe(near);
  }

  /** Cuts everything and stops. */
  async close(): Promise<void> {
    const closed = once(this.server, "close");
    this.server.close();
    this.cut();
    await closed;
  }

  #join(near: Socket, far: Socket): void {
    const pair = { near, far };
    this.#pairs.add(pair);
    near.pipe(far);
    if (!this.#stalled) far.pipe(near);
    for (const socket of [near, far]) {
      socket.on("error", () => {});
      socket.once("close", () => {
        this.#pairs.delete(pair);
        near.destroy();
        far.destroy();
      });
    }
  }
}
