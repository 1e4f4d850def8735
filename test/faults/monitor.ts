import { createHistory, type History } from "../guarantees/history.js";
import type { Move } from "../guarantees/lives.js";
import { recordBegin, recordEvents } from "../guarantees/record.js";
import { type Change, changesHeardBy } from "../guarantees/truth.js";
import { connect, message } from "../support/calls.js";
import { type Deferred, deferred } from "../support/deferred.js";
import { Listener } from "../support/listener.js";

const MOVES: ReadonlyMap<string | undefined, Move["kind"]> = new Map([
  ["remoteJoin", "join"],
  ["remoteLeave", "leave"],
  ["remoteTimeout", "timeout"],
]);

/** Hears everything in a channel, unseen, over a connection that nobody disturbs: what it hears is what was. */
export class Monitor {
  /** Joins, leaves and timeouts, in order. */
  readonly moves: Move[] = [];
  readonly #history: History = createHistory({ userId: "monitor", quiet: true, includeSelf: true });
  #heard: Deferred<void> = deferred();
  readonly #connection: ReturnType<typeof connect>;

  private constructor(
    address: string,
    private readonly channelName: string,
  ) {
    this.#connection = connect(address);
  }

  /** Begins to listen; resolves once it hears. */
  static async start(address: string, channelName: string): Promise<Monitor> {
    const monitor = new Monitor(address, channelName);
    recordBegin(monitor.#history);
    const channel = message(channelName);
    const request = { channel, userId: "monitor", quiet: true, includeSelf: true };
    const listener = new Listener(monitor.#connection.client, request);
    await listener.opened();
    for (const response of listener.messages) recordEvents(monitor.#history, response);
    monitor
      .#listen(listener)
      .catch((error) => monitor.#heard.reject(new Error("the monitor lost its stream", { cause: error })));
    return monitor;
  }

  /** The calls of this monitor's own connection. */
  get client() {
    return this.#connection.client;
  }

  /** Every change since the monitor began. */
  get changes(): Change[] {
    return changesHeardBy(this.#history);
  }

  /** Resolves when that many users went, by these ways, since the monitor began. */
  async gone(count: number, kinds: readonly Move["kind"][] = ["timeout"]): Promise<Move[]> {
    for (;;) {
      const heard = this.moves.filter(({ kind }) => kinds.includes(kind));
      if (heard.length >= count) return heard;
      await this.#heard.promise;
    }
  }

  /** Resolves when everything is heard that happened up to now. */
  async settled(): Promise<void> {
    const { position } = await this.client.listOnlineUsers({ channel: message(this.channelName), countOnly: true });
    while (this.#revision() < position!.revision) await this.#heard.promise;
  }

  /** Who is there, by the server's own list, and the position of that list. */
  async everybody() {
    const users = new Map<string, Record<string, string>>();
    for (let pageToken = ""; ; ) {
      const channel = message(this.channelName);
      const page = await this.client.listOnlineUsers({ channel, includeStates: true, pageSize: 1000, pageToken });
      for (const { userId, states } of page.users) users.set(userId, { ...states });
      if (page.nextPageToken === "") return { users, position: page.position! };
      pageToken = page.nextPageToken;
    }
  }

  close(): void {
    this.#connection.channel.close();
  }

  #revision(): bigint {
    const last = this.#history.items.at(-1);
    return last && "position" in last ? last.position.revision : 0n;
  }

  async #listen(listener: Listener): Promise<void> {
    let recorded = listener.messages.length;
    for (;;) {
      const event = await listener.next();
      for (const response of listener.messages.slice(recorded)) recordEvents(this.#history, response);
      recorded = listener.messages.length;
      const kind = MOVES.get(event.event.case);
      if (kind) this.moves.push({ kind, userId: event.userId, at: performance.now() });
      this.#heard.resolve();
      this.#heard = deferred();
    }
  }
}
