import type { ChannelId } from "../model/channel_id.js";
import type { Delta } from "../model/delta.js";
import type { UserState } from "../model/user_state.js";
import type {
  ChannelCodec,
  EventCodec,
  IntervalChanges,
  Piece,
  SnapshotChunk,
  SnapshotContent,
  SnapshotUser,
  StateBytes,
  Terms,
} from "./ports.js";

/**
 * Lets a channel's subscribers and the feeds share the bytes of a change, whichever of them is told first. Without
 * feeds it only passes on.
 */
export class SharedCodec implements EventCodec {
  #sharing = false;
  /** What was encoded since the last turn, and in the one before: nothing is kept for longer. */
  #recent = new Map<Delta, Piece>();
  #older = new Map<Delta, Piece>();

  constructor(private readonly inner: EventCodec) {}

  /** Whether there is somebody to share with. */
  set sharing(sharing: boolean) {
    this.#sharing = sharing;
    if (!sharing) {
      this.#recent.clear();
      this.#older.clear();
    }
  }

  /** The feeds have been told: what was encoded a turn ago is let go of. */
  turn(): void {
    this.#older = this.#recent;
    this.#recent = new Map();
  }

  forChannel(channel: ChannelId, epoch: string): ChannelCodec {
    return new SharedChannelCodec(this.inner.forChannel(channel, epoch), this);
  }

  state(state: UserState): StateBytes {
    return this.inner.state(state);
  }

  users(users: readonly SnapshotUser[], maxBytes: number): readonly Uint8Array[] {
    return this.inner.users(users, maxBytes);
  }

  /** One change, by the channel's own codec or as it was encoded before. */
  delta(codec: ChannelCodec, delta: Delta, state: StateBytes | undefined): Piece {
    if (!this.#sharing) return codec.delta(delta, state);
    let piece = this.#recent.get(delta) ?? this.#older.get(delta);
    if (!piece) {
      piece = codec.delta(delta, state);
      this.#recent.set(delta, piece);
    }
    return piece;
  }
}

class SharedChannelCodec implements ChannelCodec {
  constructor(
    private readonly inner: ChannelCodec,
    private readonly shared: SharedCodec,
  ) {}

  delta(delta: Delta, state: StateBytes | undefined): Piece {
    return this.shared.delta(this.inner, delta, state);
  }

  subscribed(terms: Terms, revision: number, time: number): Piece {
    return this.inner.subscribed(terms, revision, time);
  }

  snapshot(content: SnapshotContent): SnapshotChunk {
    return this.inner.snapshot(content);
  }

  interval(changes: IntervalChanges): Piece {
    return this.inner.interval(changes);
  }

  occupied(delta: Delta): Piece {
    return this.inner.occupied(delta);
  }

  vacated(delta: Delta): Piece {
    return this.inner.vacated(delta);
  }
}
