import { createServer, type Server as NetServer, type Socket } from "node:net";
import { TLSSocket, Server as TlsServer } from "node:tls";
import { type Server, ServerCredentials } from "@grpc/grpc-js";
import type { ClientCertificate } from "../service/caller.js";
import type { Clock } from "../time/clock.js";
import { type AnyCall, http2StreamOf } from "./http2_stream.js";
import { type PacedConnection, PacedReading } from "./paced_reading.js";
import { certificateOf, createTlsServer, renewTls, type TlsMaterial } from "./tls.js";
import { Turnstile } from "./turnstile.js";

type ConnectionInjector = ReturnType<Server["createConnectionInjector"]>;

/** Where a server listens. */
export interface ListenAddress {
  readonly host: string;
  /** 0 to 65535; 0: one that the system chooses. */
  readonly port: number;
}

/** How a server encrypts its connections. */
export interface TlsOptions {
  readonly material: TlsMaterial;
  /** A connection was refused before it was secure. */
  readonly onRefused: (error: Error) => void;
}

/** What connections may do. */
export interface ConnectionsOptions {
  readonly clock: Clock;
  /** Connections from one IP address; 0: any number. */
  readonly maxPerAddress: number;
  /**
   * How fast each is read, in bytes a second beside those of calls that are served, and a quarter of that at once; 0: as
   * fast as it can be.
   */
  readonly bytesPerSecond: number;
  /** How they are encrypted; undefined: they are plain text. */
  readonly tls: TlsOptions | undefined;
}

/** How many connections are set up in one turn of the event loop: under half a millisecond. */
const SET_UP_PER_TURN = 4;

/** What the header fields and the framing of a call may come to, in bytes, so that it counts as served and no flood. */
const CALL_OVERHEAD = 1024;

interface Connection {
  readonly socket: Socket;
  readonly certificate: ClientCertificate | undefined;
  /** Undefined: it is read as fast as it can be. */
  readonly paced: PacedConnection | undefined;
}

/**
 * The listening socket and every connection of a grpc-js server.
 *
 * grpc-js tells a client that cancels from a client that died in the same word; by owning the sockets we can look
 * which it was (S2, S3).
 */
export class Connections {
  readonly #open = new Map<string, Connection>();
  /** Connections that are not secure yet, or are those below secure ones. */
  readonly #raw = new Set<Socket>();
  readonly #listener: NetServer;
  readonly #injector: ConnectionInjector;
  /** How many there are from each address that has any. */
  readonly #byAddress = new Map<string, number>();
  readonly #paced: PacedReading | undefined;
  /** By HTTP/2 session: to find a call's connection by its peer costs several times as much. */
  readonly #pacedBySession = new WeakMap<object, PacedConnection>();
  readonly #settingUp: Turnstile<Socket>;
  #refused = 0;
  #onEmpty: (() => void) | undefined;

  constructor(
    server: Server,
    private readonly options: ConnectionsOptions,
  ) {
    const { clock, tls, bytesPerSecond } = options;
    this.#paced = bytesPerSecond > 0 ? new PacedReading({ clock, bytesPerSecond }) : undefined;
    // Encrypted or not is settled here: what is injected are HTTP/2 connections.
    this.#injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    this.#settingUp = new Turnstile(SET_UP_PER_TURN, (socket) => this.#accept(socket));
    this.#listener = tls
      ? createTlsServer(tls.material, {
          onRaw: (socket) => this.#watchRaw(socket),
          onSecure: (socket) => this.#come(socket),
          onRefused: tls.onRefused,
        })
      : createServer({ noDelay: true }, (socket) => this.#come(socket));
  }

  /** How many connections are open. */
  get size(): number {
    return this.#open.size;
  }

  /** How many connections were closed at once because their address had too many. */
  get refused(): number {
    return this.#refused;
  }

  /** How many connections are not read just now, because they have brought too much. */
  get held(): number {
    return this.#paced?.held ?? 0;
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

  /** Takes no more connections; those that are open stay, unless they have not been set up. */
  stopListening(): void {
    this.#listener.close();
    for (const socket of this.#settingUp.clear()) socket.destroy();
  }

  /** Shows another certificate to new connections; throws if it is no good, and then the old one stays. */
  renewTls(material: TlsMaterial): void {
    if (this.#listener instanceof TlsServer) renewTls(this.#listener, material);
  }

  /** The client certificate of a call's peer, where one was asked for. */
  certificateOf(peer: string): ClientCertificate | undefined {
    return this.#open.get(peer)?.certificate;
  }

  /** Whether the connection of a call's peer (`call.getPeer()`, taken while the call lived) is still open. */
  isOpen(peer: string): boolean {
    const socket = this.#open.get(peer)?.socket;
    return socket !== undefined && !socket.destroyed && !socket.readableEnded;
  }

  /** A call was served: what it brought does not count against the pace of its connection. */
  served(call: AnyCall): void {
    if (!this.#paced) return;
    const session = http2StreamOf(call)?.session;
    if (!session) return;
    let paced = this.#pacedBySession.get(session);
    if (!paced) {
      paced = this.#open.get(call.getPeer())?.paced;
      if (!paced) return;
      this.#pacedBySession.set(session, paced);
    }
    paced.served(call.request.length + CALL_OVERHEAD);
  }

  /** Cuts the connection of a peer. */
  destroy(peer: string): void {
    this.#open.get(peer)?.socket.destroy();
  }

  /** Resolves when no connection is open any more. To be asked once. */
  emptied(): Promise<void> {
    return new Promise((resolve) => {
      if (this.#open.size === 0) resolve();
      else this.#onEmpty = resolve;
    });
  }

  /** Cuts all connections. */
  destroyAll(): void {
    for (const { socket } of this.#open.values()) socket.destroy();
    for (const socket of this.#raw) socket.destroy();
    this.#paced?.close();
  }

  #come(socket: Socket): void {
    // Who is lost while it waits for its turn has nobody else yet who listens to that.
    socket.on("error", () => {});
    this.#settingUp.add(socket);
  }

  #accept(socket: Socket): void {
    // Gone already: it has no address any more.
    if (socket.remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    const address = socket.remoteAddress;
    const count = this.#byAddress.get(address) ?? 0;
    const { maxPerAddress } = this.options;
    if (maxPerAddress > 0 && count >= maxPerAddress) {
      this.#refused++;
      socket.destroy();
      return;
    }
    this.#byAddress.set(address, count + 1);
    const peer = `${address}:${socket.remotePort}`;
    const connection: Connection = {
      socket,
      certificate: socket instanceof TLSSocket ? certificateOf(socket) : undefined,
      paced: this.#paced?.add(socket),
    };
    this.#open.set(peer, connection);
    socket.once("close", () => {
      if (this.#open.get(peer) === connection) this.#open.delete(peer);
      if (this.#open.size === 0) this.#onEmpty?.();
      const left = this.#byAddress.get(address)! - 1;
      if (left === 0) this.#byAddress.delete(address);
      else this.#byAddress.set(address, left);
    });
    this.#injector.injectConnection(socket);
  }

  #watchRaw(socket: Socket): void {
    this.#raw.add(socket);
    socket.once("close", () => this.#raw.delete(socket));
  }
}
