import type { ServerHttp2Session } from "node:http2";
import { createServer, type Server as NetServer, type Socket } from "node:net";
import type { TLSSocket, Server as TlsServer } from "node:tls";
import { type Server, ServerCredentials } from "@grpc/grpc-js";
import type { ClientCertificate } from "../service/caller.js";
import type { Clock, Timer } from "../time/clock.js";
import { networkOf } from "./client_network.js";
import { Http2Front, type Http2FrontOptions } from "./http2_front.js";
import { certificateOf, createTlsServer, renewTls, type TlsMaterial } from "./tls.js";
import { Turnstile } from "./turnstile.js";
import { INITIAL_STREAMS } from "./unpaid_calls.js";

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
  /** Connections from one IPv4 address, or from the first 64 bits of an IPv6 one; 0: any number. */
  readonly maxPerAddress: number;
  /** The most streams that a client may have open at once on one connection; it begins with fewer. */
  readonly maxStreams: number;
  /** Runs `begin` for each new call, now or later; `path` is `/package.Service/Method`. */
  readonly onCall: Http2FrontOptions["onCall"];
  /** How they are encrypted; undefined: they are plain text. */
  readonly tls: TlsOptions | undefined;
}

/** How many connections are set up in one turn of the event loop: under half a millisecond. */
const SET_UP_PER_TURN = 4;

/** How long a client has, in ms, to read the GOAWAY of a session that was destroyed, before its socket is closed. */
const GOAWAY_MS = 1000;

/** One that was let in. */
interface Connection {
  readonly tcp: Socket;
  /** What calls come over: the encrypted one, once there is one. */
  socket: Socket;
  certificate: ClientCertificate | undefined;
}

/**
 * The listening socket and every connection of a grpc-js server.
 *
 * grpc-js tells a client that cancels from a client that died in the same word; by owning the sockets we can look
 * which it was (S2, S3).
 */
export class Connections {
  /** By peer. */
  readonly #open = new Map<string, Connection>();
  readonly #listener: NetServer;
  /** Undefined: connections are plain text. */
  readonly #tls: TlsServer | undefined;
  readonly #injector: ConnectionInjector;
  /** Undefined: grpc-js serves connections with its own HTTP/2 server. */
  readonly #front: Http2Front | undefined;
  /** Number of connections from each network that has any. */
  readonly #byNetwork = new Map<string, number>();
  readonly #settingUp: Turnstile<Socket>;
  #refused = 0;
  #onEmpty: (() => void) | undefined;

  constructor(
    server: Server,
    private readonly options: ConnectionsOptions,
  ) {
    const { clock, tls } = options;
    // Encrypted or not is settled here: what is injected are HTTP/2 connections.
    this.#injector = server.createConnectionInjector(ServerCredentials.createInsecure());
    const { maxStreams, onCall } = options;
    this.#front = Http2Front.of(server, {
      initialStreams: Math.min(INITIAL_STREAMS, maxStreams),
      maxStreams,
      onCall,
    });
    this.#settingUp = new Turnstile(SET_UP_PER_TURN, (socket) => this.#come(socket));
    this.#tls =
      tls &&
      createTlsServer(
        tls.material,
        () => clock.now().wall,
        (socket) => this.#secured(socket),
        tls.onRefused,
      );
    // What is read before a connection is set up would be dealt with in one go: hundreds of calls, however they end.
    this.#listener = createServer({ noDelay: true, pauseOnConnect: true }, (socket) => {
      // Who is lost while it waits for its turn has nobody else yet who listens to that.
      socket.on("error", () => {});
      this.#settingUp.add(socket);
    });
  }

  /** How many connections are open. */
  get size(): number {
    return this.#open.size;
  }

  /** Number of connections closed since the start because their address already had `maxPerAddress`. */
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

  /** Takes no more connections; those that are open stay, unless they have not been set up. */
  stopListening(): void {
    this.#listener.close();
    for (const socket of this.#settingUp.clear()) socket.destroy();
  }

  /** Shows another certificate to new connections; throws if it is no good, and then the old one stays. */
  renewTls(material: TlsMaterial): void {
    if (this.#tls) renewTls(this.#tls, material);
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

  /** Cuts the connection of a peer. */
  destroy(peer: string): void {
    const connection = this.#open.get(peer);
    if (connection) destroy(connection);
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
    for (const connection of this.#open.values()) destroy(connection);
  }

  #come(socket: Socket): void {
    const { remoteAddress } = socket;
    // Gone already: it has no address any more.
    if (remoteAddress === undefined) {
      socket.destroy();
      return;
    }
    const network = networkOf(remoteAddress);
    const count = this.#byNetwork.get(network) ?? 0;
    const { maxPerAddress } = this.options;
    if (maxPerAddress > 0 && count >= maxPerAddress) {
      this.#refused++;
      socket.destroy();
      return;
    }
    this.#byNetwork.set(network, count + 1);
    socket.once("close", () => {
      const left = this.#byNetwork.get(network)! - 1;
      if (left === 0) this.#byNetwork.delete(network);
      else this.#byNetwork.set(network, left);
    });
    this.#letIn(socket);
  }

  #letIn(socket: Socket): void {
    const peer = peerOf(socket);
    const connection: Connection = {
      tcp: socket,
      socket,
      certificate: undefined,
    };
    this.#open.set(peer, connection);
    socket.once("close", () => {
      if (this.#open.get(peer) === connection) this.#open.delete(peer);
      if (this.#open.size === 0) this.#onEmpty?.();
    });
    if (this.#tls) {
      this.#tls.emit("connection", socket);
    } else {
      this.#serve(connection);
      socket.resume();
    }
  }

  #secured(socket: TLSSocket): void {
    const connection = this.#open.get(peerOf(socket));
    if (!connection) {
      socket.destroy();
      return;
    }
    connection.socket = socket;
    connection.certificate = certificateOf(socket);
    this.#serve(connection);
  }

  #serve(connection: Connection): void {
    const { socket } = connection;
    if (!this.#front) {
      this.#injector.injectConnection(socket);
      return;
    }
    const session = this.#front.accept(socket);
    if (session) this.#destroyWithSession(connection, session);
  }

  /**
   * Node closes the socket of a destroyed session only after all that was written to it: never, if the client reads
   * nothing. grpc-js destroys a session when its keepalive fails.
   */
  #destroyWithSession(connection: Connection, session: ServerHttp2Session): void {
    const destroySession = session.destroy;
    let timer: Timer | undefined;
    session.destroy = (...how) => {
      // Node does not free a session that was ended for a protocol error, 3 KB each, while it has this method.
      session.destroy = destroySession;
      destroySession.apply(session, how);
      if (!connection.tcp.destroyed) timer ??= this.options.clock.setTimer(GOAWAY_MS, () => destroy(connection));
    };
    connection.tcp.once("close", () => timer?.cancel());
  }
}

function destroy({ tcp, socket }: Connection): void {
  socket.destroy();
  // The encrypted socket closes it only after all that was written.
  tcp.destroy();
}

/** As `call.getPeer()` tells it. */
function peerOf({ remoteAddress, remotePort }: Pick<Socket, "remoteAddress" | "remotePort">): string {
  return `${remoteAddress}:${remotePort}`;
}
