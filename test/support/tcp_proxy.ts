import { once } from "node:events";
import { type AddressInfo, connect, createServer, type Server, type Socket } from "node:net";

/** What one direction keeps before it stops reading, in bytes: a network holds little. */
const HELD_BYTES = 64 * 1024;

/** How often a trickling connection passes its few bytes on, in ms. */
const TRICKLE_MS = 10;

/** What becomes of bytes that go through. */
type Passage =
  | { readonly kind: "flow" }
  /** Nothing passes, and nothing is said of an end: packets are lost, and sent again once they are not. */
  | { readonly kind: "held" }
  | { readonly kind: "delayed"; readonly ms: number }
  | { readonly kind: "trickle"; readonly bytes: number };

interface Pair {
  readonly near: Socket;
  readonly far: Socket;
  readonly up: Direction;
  readonly down: Direction;
}

/** A TCP proxy on 127.0.0.1 that a test can let fail. Its faults are those of a network: no byte is lost or changed. */
export class TcpProxy {
  readonly #pairs = new Set<Pair>();
  #up: Passage = { kind: "flow" };
  #down: Passage = { kind: "flow" };
  #refusing = false;

  private constructor(
    /** What takes the connections of clients. */
    readonly server: Server,
    /** `host:port` for clients. */
    readonly address: string,
  ) {}

  /** Starts a proxy to `target`: `host:port`, or the path of a unix socket. */
  static async to(target: string): Promise<TcpProxy> {
    const [host, port] = target.split(":");
    const dial = () => (port === undefined ? connect(target) : connect(Number(port), host));
    const server = createServer((near) => proxy.#join(near, dial));
    server.listen(0, "127.0.0.1");
    await once(server, "listening");
    const proxy: TcpProxy = new TcpProxy(server, `127.0.0.1:${(server.address() as AddressInfo).port}`);
    return proxy;
  }

  /** How many connections go through. */
  get connections(): number {
    return this.#pairs.size;
  }

  /** Cuts every connection, both ends at once; new ones are taken. */
  cut(): void {
    for (const { near, far } of this.#pairs) {
      near.destroy();
      far.destroy();
    }
  }

  /** Resets every connection (RST), both ends at once; new ones are taken. */
  reset(): void {
    for (const { near, far } of this.#pairs) {
      near.resetAndDestroy();
      far.resetAndDestroy();
    }
  }

  /** Cuts every connection and those that come, until `flow`. */
  refuse(): void {
    this.#refusing = true;
    this.cut();
  }

  /** Takes nothing more from the server: what it writes fills the pipes, as with a client that does not read. */
  stall(): void {
    this.#set(this.#up, { kind: "held" });
  }

  /** Half-opens: nothing passes either way, and neither end hears when the other gives up. */
  vanish(): void {
    this.#set({ kind: "held" }, { kind: "held" });
  }

  /** Lets everything arrive `ms` later. */
  delay(ms: number): void {
    this.#set({ kind: "delayed", ms }, { kind: "delayed", ms });
  }

  /** Lets only that many bytes pass in 10 ms, each way and connection. */
  trickle(bytes: number): void {
    this.#set({ kind: "trickle", bytes }, { kind: "trickle", bytes });
  }

  /** Heals: what was held arrives, and new connections are taken. */
  flow(): void {
    this.#refusing = false;
    this.#set({ kind: "flow" }, { kind: "flow" });
  }

  /** Cuts everything and stops. */
  async close(): Promise<void> {
    const closed = once(this.server, "close");
    this.server.close();
    this.cut();
    await closed;
  }

  #set(up: Passage, down: Passage): void {
    this.#up = up;
    this.#down = down;
    for (const pair of this.#pairs) {
      pair.up.move();
      pair.down.move();
    }
  }

  #join(near: Socket, dial: () => Socket): void {
    near.on("error", () => {});
    if (this.#refusing) {
      near.destroy();
      return;
    }
    const far = dial();
    const pair = {
      near,
      far,
      up: new Direction(near, far, () => this.#up),
      down: new Direction(far, near, () => this.#down),
    };
    this.#pairs.add(pair);
    for (const socket of [near, far]) {
      socket.on("error", () => {});
      socket.once("close", () => {
        if (near.destroyed && far.destroyed) this.#pairs.delete(pair);
      });
    }
  }
}

/** The bytes on their way from one socket to another. */
class Direction {
  readonly #held: { readonly bytes: Buffer; readonly due: number }[] = [];
  #size = 0;
  #ended = false;
  #blocked = false;
  #timer: NodeJS.Timeout | undefined;

  constructor(
    private readonly from: Socket,
    private readonly to: Socket,
    private readonly passage: () => Passage,
  ) {
    from.on("data", (bytes: Buffer) => {
      const passage = this.passage();
      this.#held.push({ bytes, due: performance.now() + (passage.kind === "delayed" ? passage.ms : 0) });
      this.#size += bytes.length;
      this.move();
    });
    from.once("close", () => {
      this.#ended = true;
      this.move();
    });
    to.on("drain", () => {
      this.#blocked = false;
      this.move();
    });
    to.once("close", () => clearTimeout(this.#timer));
  }

  /** Passes on what may pass now. */
  move(): void {
    clearTimeout(this.#timer);
    const passage = this.passage();
    if (passage.kind === "trickle") this.#trickle(passage.bytes);
    else if (passage.kind !== "held") this.#pass();
    if (this.#size > HELD_BYTES) this.from.pause();
    else if (this.from.isPaused()) this.from.resume();
    if (this.#ended && this.#held.length === 0 && passage.kind !== "held") this.to.destroy();
  }

  #pass(): void {
    while (this.#held.length > 0 && !this.#blocked) {
      const wait = this.#held[0]!.due - performance.now();
      if (wait > 0) {
        this.#timer = setTimeout(() => this.move(), wait);
        return;
      }
      this.#write(this.#held.shift()!.bytes);
    }
  }

  #trickle(most: number): void {
    const first = this.#held[0];
    if (!first) return;
    if (!this.#blocked) {
      const bytes = first.bytes.subarray(0, most);
      const rest = first.bytes.subarray(most);
      if (rest.length > 0) this.#held[0] = { ...first, bytes: rest };
      else this.#held.shift();
      this.#write(bytes);
    }
    this.#timer = setTimeout(() => this.move(), TRICKLE_MS);
  }

  #write(bytes: Buffer): void {
    this.#size -= bytes.length;
    if (!this.to.destroyed) this.#blocked = !this.to.write(bytes);
  }
}
