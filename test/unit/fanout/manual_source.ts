import type { ChannelSource, SourceSnapshot } from "../../../src/fanout/ports.js";
import type { ChannelId } from "../../../src/model/channel_id.js";
import type { Delta } from "../../../src/model/delta.js";
import { type Deferred, deferred } from "../../support/deferred.js";

/** An engine far away: it answers when the test says so, and may fail. */
export class ManualSource implements ChannelSource {
  /** The answers to come, in the order in which they were asked for. */
  readonly watches: Deferred<void>[] = [];
  readonly snapshots: Deferred<SourceSnapshot>[] = [];
  /** How many watches were stopped. */
  stopped = 0;
  #onDeltas: (deltas: readonly Delta[]) => void = () => {};

  async watch(_channel: ChannelId, onDeltas: (deltas: readonly Delta[]) => void): Promise<() => void> {
    this.#onDeltas = onDeltas;
    const watching = deferred();
    this.watches.push(watching);
    await watching.promise;
    return () => {
      this.stopped += 1;
    };
  }

  snapshot(): Promise<SourceSnapshot> {
    const snapshot = deferred<SourceSnapshot>();
    this.snapshots.push(snapshot);
    return snapshot.promise;
  }

  replay(): undefined {
    return undefined;
  }

  /** Something was committed, and the news has come. */
  tell(...deltas: readonly Delta[]): void {
    this.#onDeltas(deltas);
  }
}
