import type { Socket } from "node:net";
import type { Clock, Timer } from "../time/clock.js";
import { handleOf } from "./transport_internals.js";

/** How fast connections are read. */
export interface PacedReadingOptions {
  readonly clock: Clock;
  /**
   * Bytes a second that each may bring beside those of calls that are served, and a quarter of that at once. More than 0.
   * A connection of which more than an eighth of it belongs to no call is cut.
   */
  readonly bytesPerSecond: number;
}

/** A connection that brings no more than this many ms' worth of bytes at once is not held back. */
const BURST_MS = 250;
/** How often all connections are looked at, in ms, and how often those that were held back of late. */
const LOOK_MS = 100;
const LOOK_AGAIN_MS = 10;
/** For no longer than this, in ms: a client whose answers to PINGs are not read would be taken for dead. */
const MOST_HELD_MS = 1000;
/** Who was held back is looked at closely for so long, in ms. */
const SUSPECT_MS = 1000;

/** A connection that has just come is looked at closely for so long, in ms: a flood is to be seen while it is small. */
const NEW_MS = 100;
/** This part of the rate, and of what may come at once, may belong to no call: PINGs, SETTINGS, windows. */
const NO_CALLS_PART = 1 / 8;
/** At once so much of it may come at any rate, in bytes: whoever greets and sets up windows is no flood. */
const LEAST_NO_CALLS = 64 * 1024;
/** Of a call that is refused so much may be under way, headers and a window's worth of data; it is a call's all the same. */
const CALL_BYTES = 128 * 1024;

/** A connection whose reading is paced. */
export class PacedConnection {
  bytesRead: number;
  /** Bytes of calls that were served since it was looked at. */
  bytesServed = 0;
  /** Bytes that it has brought beyond its rate and the calls that were served. */
  level = 0;
  /** Bytes of calls, whatever became of them, since it was looked at. */
  bytesOfCalls = 0;
  /** Bytes that it has brought beyond what may belong to no call. */
  noise = 0;
  isHeld = false;
  suspectUntil: number;

  constructor(
    readonly socket: Socket,
    public lookedAt: number,
  ) {
    this.bytesRead = socket.bytesRead;
    this.suspectUntil = lookedAt + NEW_MS;
  }

  /** A call began. */
  called(): void {
    this.bytesOfCalls += CALL_BYTES;
  }

  /** So many bytes of a call have arrived. */
  heard(bytes: number): void {
    this.bytesOfCalls += bytes;
  }

  /** So many bytes of what it has brought were a call that was served: they do not count. */
  served(bytes: number): void {
    this.bytesServed += bytes;
  }
}

/**
 * Reads no connection faster than it may bring bytes: one that brings more is not read for a while, and TCP holds its
 * client up. One thread reads all connections, so what floods one of them would make the others wait. What served calls
 * brought is none of it: they have limits of their own, and a back end may have as much to do as the server can.
 */
export class PacedReading {
  readonly #connections = new Set<PacedConnection>();
  readonly #suspects = new Set<PacedConnection>();
  #timer: Timer | undefined;
  #suspectsTimer: Timer | undefined;
  #held = 0;

  constructor(private readonly options: PacedReadingOptions) {}

  /** How many connections are not read just now. */
  get held(): number {
    return this.#held;
  }

  /** Paces a connection until it closes. */
  add(socket: Socket): PacedConnection {
    const connection = new PacedConnection(socket, this.options.clock.now().tick);
    this.#connections.add(connection);
    this.#suspect(connection);
    this.#timer ??= this.options.clock.setTimer(LOOK_MS, this.#lookAtAll);
    socket.once("close", () => {
      if (connection.isHeld) this.#held--;
      this.#connections.delete(connection);
      this.#suspects.delete(connection);
    });
    return connection;
  }

  /** Stops pacing; what is held back stays so. */
  close(): void {
    this.#timer?.cancel();
    this.#suspectsTimer?.cancel();
    this.#connections.clear();
    this.#suspects.clear();
  }

  readonly #lookAtAll = (): void => {
    for (const connection of this.#connections) this.#look(connection);
    this.#timer = this.#connections.size > 0 ? this.options.clock.setTimer(LOOK_MS, this.#lookAtAll) : undefined;
  };

  readonly #lookAtSuspects = (): void => {
    this.#suspectsTimer = undefined;
    for (const connection of this.#suspects) {
      this.#look(connection);
      if (connection.lookedAt > connection.suspectUntil && !connection.isHeld) this.#suspects.delete(connection);
    }
    this.#lookAgain();
  };

  #lookAgain(): void {
    if (this.#suspects.size > 0)
      this.#suspectsTimer ??= this.options.clock.setTimer(LOOK_AGAIN_MS, this.#lookAtSuspects);
  }

  #look(connection: PacedConnection): void {
    if (connection.socket.destroyed) return;
    const { clock, bytesPerSecond } = this.options;
    const { bytesRead } = connection.socket;
    const now = clock.now().tick;
    const brought = bytesRead - connection.bytesRead;
    const allowed = ((now - connection.lookedAt) * bytesPerSecond) / 1000;
    const grown = connection.level + brought - connection.bytesServed - allowed;
    connection.level = Math.min(Math.max(0, grown), ((BURST_MS + MOST_HELD_MS) * bytesPerSecond) / 1000);
    const noise = connection.noise + brought - connection.bytesOfCalls - NO_CALLS_PART * allowed;
    connection.noise = Math.max(0, noise);
    connection.bytesRead = bytesRead;
    connection.bytesServed = 0;
    connection.bytesOfCalls = 0;
    connection.lookedAt = now;
    if (connection.noise > Math.max(LEAST_NO_CALLS, (NO_CALLS_PART * BURST_MS * bytesPerSecond) / 1000)) {
      connection.socket.destroy();
      return;
    }
    if (connection.level > (BURST_MS * bytesPerSecond) / 1000) this.#hold(connection);
    else if (connection.isHeld) this.#letGo(connection);
  }

  #hold(connection: PacedConnection): void {
    const handle = handleOf(connection.socket);
    if (!handle) return;
    // Each time anew: when what it writes has gone out the HTTP/2 session may have begun to read again.
    handle.readStop();
    if (!connection.isHeld) this.#held++;
    connection.isHeld = true;
    connection.suspectUntil = connection.lookedAt + SUSPECT_MS;
    this.#suspect(connection);
  }

  #suspect(connection: PacedConnection): void {
    this.#suspects.add(connection);
    this.#lookAgain();
  }

  #letGo(connection: PacedConnection): void {
    const handle = handleOf(connection.socket);
    // A client that does not take its answers is not read by the HTTP/2 session either, and that is to stay so.
    if (!handle || handle.writeQueueSize > 0) return;
    connection.isHeld = false;
    this.#held--;
    handle.readStart();
  }
}
