import type { PresenceEvent, UserState } from "../../src/client/index.js";

/** What is compared of a member. */
export interface Held {
  readonly states: Readonly<Record<string, string>>;
  readonly revision: bigint;
  readonly joinTime?: Date;
  readonly updateTime?: Date;
}

/** The members that follow from the events of an iteration, by the rules of docs/clients.md and nothing else. */
export class Replay {
  readonly members = new Map<string, Held>();
  /** Whether a snapshot has come: there is nothing to compare before. */
  hasBegun = false;

  apply(event: PresenceEvent): void {
    switch (event.kind) {
      case "subscribed":
      case "out_of_service":
        return;
      case "snapshot":
        this.hasBegun = true;
        this.members.clear();
        for (const state of event.members.values()) this.#set(state);
        return;
      case "join":
        this.#join(event.userId, event.time);
        return;
      case "leave":
      case "timeout":
        this.members.delete(event.userId);
        return;
      case "state_changed":
        this.#set(event.state);
        return;
      case "interval":
        for (const userId of [...event.left, ...event.timedOut]) this.members.delete(userId);
        for (const userId of event.joined) this.#join(userId, event.time);
        for (const state of event.changed) this.#set(state);
        return;
    }
  }

  #join(userId: string, joinTime: Date): void {
    this.members.set(userId, { states: {}, revision: 0n, joinTime });
  }

  #set({ userId, states, revision, joinTime, updateTime }: UserState): void {
    this.members.set(userId, { states, revision, joinTime, updateTime });
  }
}

/** What two views of the members differ in, as lines for a report; `without` is left out of the comparison. */
export function differencesOf(
  actual: ReadonlyMap<string, Held>,
  expected: ReadonlyMap<string, Held>,
  without?: string,
): string[] {
  const users = [...new Set([...actual.keys(), ...expected.keys()])].sort();
  return users.flatMap((userId) => {
    const is = textOf(actual.get(userId));
    const wanted = textOf(expected.get(userId));
    return userId === without || is === wanted ? [] : [`${userId}: ${is}, expected ${wanted}`];
  });
}

function textOf(held: Held | undefined): string {
  if (!held) return "absent";
  // A user that joined in an interval, and has no state yet, is given the time of the interval.
  const joined = held.revision === 0n ? undefined : held.joinTime?.toISOString();
  return `${JSON.stringify(Object.entries(held.states).sort())} at ${held.revision}, joined ${joined}, updated ${held.updateTime?.toISOString()}`;
}
