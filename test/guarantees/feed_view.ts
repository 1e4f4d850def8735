import assert from "node:assert/strict";
import type { PresenceEvent } from "../../gen/presence/v1/presence_pb.js";

interface ChannelView {
  readonly epoch: string;
  readonly users: Map<string, Readonly<Record<string, string>>>;
  revision: bigint;
  occupied: boolean;
}

/**
 * What a watcher makes of a feed, as the contract tells it to. Throws where an event breaks a promise: order, joins and
 * departures that alternate per user, `occupied` and `vacated` that alternate per channel and enclose them, occupancies
 * that count those who were told.
 */
export class FeedView {
  /** Channels with their users, by `type:name`. */
  readonly channels = new Map<string, ChannelView>();
  /** Whether the last round of snapshots is over. */
  complete = false;
  /** How often events were lost. */
  losses = 0;
  #begun = false;
  #unfinished: { key: string; revision: bigint; users: ChannelView["users"] } | undefined;

  /** @param fromVacancy whether the watcher knows all: it asked for snapshots, or was there before everybody. */
  constructor(private readonly fromVacancy: boolean) {}

  /** Who is where, by `type:name`, vacant channels left out. */
  get users(): Map<string, Map<string, Readonly<Record<string, string>>>> {
    const occupied = [...this.channels].filter(([, { users }]) => users.size > 0);
    return new Map(occupied.map(([key, { users }]) => [key, users]));
  }

  /** Applies the next event. */
  apply({ channel, position, userId, event }: PresenceEvent): void {
    assert.equal(this.#begun, event.case !== "subscribed", "SUBSCRIBED is the first event, once");
    if (!channel) {
      this.#applyToAll(event);
      return;
    }
    const key = `${channel.type}:${channel.name}`;
    const { epoch, revision } = position!;
    if (event.case === "snapshot") {
      this.#gather(key, epoch, revision, event.value);
      return;
    }
    assert.notEqual(this.#unfinished?.key, key, "nothing of a channel comes amid its snapshot");
    let view = this.channels.get(key);
    if (view?.epoch !== epoch) {
      assert.ok(!view?.occupied, `another life of ${key} begins where the last has ended`);
      assert.ok(!view || revision > view.revision, `another life of ${key} has greater revisions`);
      view = { epoch, users: new Map(), revision: 0n, occupied: false };
      this.channels.set(key, view);
    }
    const order = event.case === "channelVacated" || event.case === "remoteJoin" ? "not before" : "after";
    assert.ok(
      order === "after" ? revision > view.revision : revision >= view.revision,
      `${key}: ${event.case} in order`,
    );
    view.revision = revision;
    this.#applyTo(view, key, userId, event);
  }

  #applyToAll(event: PresenceEvent["event"]): void {
    switch (event.case) {
      case "subscribed":
        assert.deepEqual([event.value.sessionId, event.value.occupancy], ["", 0]);
        this.#begun = true;
        return;
      case "snapshot":
        assert.deepEqual([event.value.users, event.value.last], [[], true]);
        assert.equal(this.complete, false, "a round is over once");
        this.complete = true;
        return;
      default:
        assert.equal(event.case, "outOfService");
        this.channels.clear();
        this.#unfinished = undefined;
        this.complete = false;
        this.losses += 1;
    }
  }

  #applyTo(view: ChannelView, key: string, userId: string, event: PresenceEvent["event"]): void {
    const { users } = view;
    const knows = this.fromVacancy;
    switch (event.case) {
      case "channelOccupied":
        assert.ok(!view.occupied, `${key} was occupied already`);
        assert.equal(users.size, 0);
        view.occupied = true;
        return;
      case "channelVacated":
        assert.ok(view.occupied || !knows, `${key} was vacant already`);
        assert.equal(users.size, 0, `${key} is vacated when the last has gone`);
        view.occupied = false;
        return;
      case "remoteJoin":
        assert.ok(view.occupied || !knows, `${key} is occupied before ${userId} joins`);
        assert.ok(!users.has(userId), `${userId} was in ${key}`);
        users.set(userId, {});
        if (knows) assert.equal(event.value.occupancy, users.size);
        return;
      case "remoteLeave":
      case "remoteTimeout":
        assert.ok(users.delete(userId) || !knows, `${userId} was not in ${key}`);
        if (knows) assert.equal(event.value.occupancy, users.size);
        return;
      case "remoteStateChanged":
        assert.ok(users.has(userId) || !knows, `${userId} was not in ${key}`);
        users.set(userId, { ...event.value.state!.states });
        return;
      default:
        assert.fail(`${event.case} in a feed`);
    }
  }

  #gather(
    key: string,
    epoch: string,
    revision: bigint,
    {
      users,
      last,
      occupancy,
    }: { users: { userId: string; states: Record<string, string> }[]; last: boolean; occupancy: number },
  ): void {
    assert.ok(!this.channels.get(key)?.occupied, `a round tells ${key} once`);
    this.#unfinished ??= { key, revision, users: new Map() };
    assert.deepEqual([this.#unfinished.key, this.#unfinished.revision], [key, revision], "one snapshot at a time");
    for (const { userId, states } of users) this.#unfinished.users.set(userId, { ...states });
    if (!last) return;
    assert.equal(this.#unfinished.users.size, occupancy);
    assert.ok(occupancy > 0, "vacant channels are not told");
    this.channels.set(key, { epoch, users: this.#unfinished.users, revision, occupied: true });
    this.#unfinished = undefined;
  }
}
