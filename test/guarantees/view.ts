import type { BeginItem, HeardItem, IntervalItem, Position, SnapshotItem, UserRecord } from "./history.js";
import { samePosition } from "./history.js";
import type { Member, Members, TruthWalk } from "./truth.js";

/** What one item did to a view. */
export interface Applied {
  /** A whole SNAPSHOT has just replaced everything. */
  readonly replaced: boolean;
  /** Users whose presence or state the item set. */
  readonly touched: readonly string[];
}

const NOTHING: Applied = { replaced: false, touched: [] };
const REPLACED: Applied = { replaced: true, touched: [] };

/**
 * What a client holds that does what the contract tells it to do: gather a SNAPSHOT and replace all with it,
 * apply every event. It believes everything; judging is for the validators.
 */
export class View {
  #members = new Map<string, Member>();
  #complete = false;
  #position: Position | undefined;
  #gathering: { position: Position; users: UserRecord[] } | undefined;

  /** Who is there, as far as the client knows. */
  get members(): Members {
    return this.#members;
  }

  /** Whether the client has a basis: a whole SNAPSHOT, or what it held when it resumed. */
  get complete(): boolean {
    return this.#complete;
  }

  /** The last position that is applied; undefined before the first. */
  get position(): Position | undefined {
    return this.#position;
  }

  /**
   * A new stream. An ordinary one begins with nothing. A resumed one goes on with what was held at that
   * position: by this view itself, or else as the truth has it; when neither knows, without a basis.
   */
  begin(begin: BeginItem, truth?: TruthWalk): void {
    this.#gathering = undefined;
    if (begin.resumeFrom && this.#complete && samePosition(begin.resumeFrom, this.#position)) return;
    this.#complete = false;
    this.#members = new Map();
    this.#position = begin.resumeFrom;
    if (begin.resumeFrom && truth?.knows(begin.resumeFrom)) {
      truth.moveTo(begin.resumeFrom);
      this.#members = new Map(truth.members);
      this.#complete = true;
    }
  }

  /** Applies one item of the stream. */
  apply(item: HeardItem): Applied {
    if (item.kind === "snapshot") return this.#gather(item);
    if (item.kind === "subscribed" && !this.#complete) return NOTHING;
    this.#position = item.position;
    switch (item.kind) {
      case "interval":
        return this.#applyInterval(item);
      case "join":
        this.#members.set(item.userId, { states: {}, revision: 0n });
        return { replaced: false, touched: [item.userId] };
      case "state":
        this.#members.set(item.userId, { states: item.states, revision: item.stateRevision });
        return { replaced: false, touched: [item.userId] };
      case "leave":
      case "timeout":
        this.#members.delete(item.userId);
        return { replaced: false, touched: [item.userId] };
      default:
        return NOTHING;
    }
  }

  #gather(chunk: SnapshotItem): Applied {
    if (!this.#gathering || !samePosition(this.#gathering.position, chunk.position)) {
      this.#gathering = { position: chunk.position, users: [] };
    }
    this.#gathering.users.push(...chunk.users);
    if (!chunk.last) return NOTHING;
    this.#members = new Map(this.#gathering.users.map((user) => [user.userId, user]));
    this.#gathering = undefined;
    this.#complete = true;
    this.#position = chunk.position;
    return REPLACED;
  }

  #applyInterval(item: IntervalItem): Applied {
    for (const userId of [...item.left, ...item.timedOut]) this.#members.delete(userId);
    for (const userId of item.joined) this.#members.set(userId, { states: {}, revision: 0n });
    for (const user of item.changed) this.#members.set(user.userId, user);
    const changed = item.changed.map((user) => user.userId);
    return { replaced: false, touched: [...item.left, ...item.timedOut, ...item.joined, ...changed] };
  }
}
