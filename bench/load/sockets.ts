import { H2Connection } from "./h2_connection.js";
import { TextConnection } from "./text_connection.js";

/** All connections that the load process has open, so that one sample's can be gone before the next begins. */
export class Sockets {
  readonly #open = new Set<{ close(): void }>();

  /** Opens a connection for gRPC calls, made with the token if there is one. `onLost` hears when it is lost. */
  async grpc(address: string, onLost: (reason: string) => void, token?: string): Promise<H2Connection> {
    const connection = await H2Connection.connect(address, token);
    connection.onLost = (reason) => onLost(`connection lost: ${reason}`);
    this.#open.add(connection);
    return connection;
  }

  /** Opens a connection for one of the protocols of {@link ./dialects}. */
  async text(address: string, answerMark: number, onLost: (reason: string) => void): Promise<TextConnection> {
    const connection = await TextConnection.connect(address, answerMark);
    connection.onLost = (reason) => onLost(`connection lost: ${reason}`);
    this.#open.add(connection);
    return connection;
  }

  /** Closes them all; nobody hears of it. */
  closeAll(): void {
    for (const connection of this.#open) connection.close();
    this.#open.clear();
  }
}
