import { createServer, type Server as NetServer, type Socket } from "node:net";
import { type Server, ServerCredentials } from "@grpc/grpc-js";

type ConnectionInjector = ReturnType<Server["createConnectionInjector"]>;

/** Where a server listens. */
export interface ListenAddress {
  readonly host: string;
  /** 0 to 65535; 0: one that the system chooses. */
  readonly port: number;
}

/**
 * The listening socket and every connection of a grpc-js server.
 *
 * grpc-js tells a client that cancels from a client that died in the same word; by owning the sockets we can look
 * which it was (S2, S3).
 */
export class Connections {
  readonly #sockets = new Map<string, Socket>();
  readonly #listener: NetServer;
  readonly #injector: ConnectionInjector;
  /** How many there are from each address that has any. */
  readonly #byAddress = new Map<string, number>();
  #refused = 0;

  /** `maxPerAddress`: connections from one IP address; 0: any number. */
  constructor(
    server: Server,
    private readonly maxPerAddress: number,
  ) {
    this.#injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#listener = createServer({ noDelay: true }, (socket) => this.#accept(socket));
  }

  /** How many connections are open. */
  get size(): number {
    return this.#sockets.size;
  }

  /** How many connections were closed at once because their address had too many. */
  get refused(): number {
    return this.#refused;
  }

  /** Starts to listen; resolves with the address as it turned out. Rejects as `net.Server` does (EADDRINUSE…). */
  listen(address: ListenAddress): Promise<ListenAddress> {
    return new Promise((resolve, reject) => {
      this.#listener.once("error", reject);
      this.#listener.listen(address.port, address.host, () => {
        this.#listener.off("error", reject);
        const bound = this.#listener.address();
        resolve({ host: address.host, port: typeof bound === "object" && bound ? bound.port : address.port });
      });
    });
  }

  /** Takes no more connections; those that are open stay. */
  stopListening(): void {
    this.#listener.close();
  }

  /** Whether the connection of a call's peer (`call.getPeer()`, taken while the call lived) is still open. */
  isOpen(peer: string): boolean {
    const socket = this.#sockets.get(peer);
    return socket !== undefined && !socket.destroyed && !socket.readableEnded;
  }

  /** Cuts the connection of a peer. */
  destroy(peer: string): void {
    this.#sockets.get(peer)?.destroy();
  }

  /** Cuts all connections. */
  destroyAll(): void {
    for (const socket of this.#sockets.values()) socket.destroy();
  }

  #accept(socket: Socket): void {
    // Gone already: it has no address any more.
    if (socket.remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    const address = socket.remoteAddress;
    const count = this.#byAddress.get(address) ?? 0;
    if (this.maxPerAddress > 0 && count >= this.maxPerAddress) {
      this.#refused++;
      socket.destroy();
      return;
    }
    this.#byAddress.set(address, count + 1);
    const peer = `${address}:${socket.remotePort}`;
    this.#sockets.set(peer, socket);
    socket.once("close", () => {
      if (this.#sockets.get(peer) === socket) this.#sockets.delete(peer);
      const left = this.#byAddress.get(address)! - 1;
      if (left === 0) this.#byAddress.delete(address);
      else this.#byAddress.set(address, left);
    });
    this.#injector.injectConnection(socket);
  }
}
