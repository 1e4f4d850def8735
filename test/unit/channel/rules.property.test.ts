import assert from "node:assert/strict";
import { apply, type Rules } from "../../../src/channel/apply.js";
import type { Command, Join, SetStates } from "../../../src/channel/command.js";
import { type Member, nextDeadline, stateOf, stranger } from "../../../src/channel/member.js";
import type { EntryOutcome, Outcome } from "../../../src/channel/outcome.js";
import { type Head, seal } from "../../../src/channel/seal.js";
import type { Delta } from "../../../src/model/delta.js";
import { PresenceError } from "../../../src/model/errors.js";
import type { States } from "../../../src/model/user_state.js";
import { property } from "../../support/property.js";
import { heard, NOWHERE, RULES } from "./driver.js";
import { ChannelModel, FIRST_PENDING_REVISION, FIRST_REVISION, type Verdict } from "./model.js";
import { type Action, type Happening, happenings, type SessionChoice } from "./random_actions.js";

const TIGHT: Rules = {
  ...RULES,
  limits: { ...RULES.limits, maxStatePairs: 3, maxPendingPairs: 2, maxSessionsPerUser: 4, maxChannelsPerUser: 2 },
};

/** Everything that `apply` is given may be shared with others, so it must not be touched. */
function frozen<T>(value: T): T {
  if (typeof value === "object" && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const part of Object.values(value)) frozen(part);
  }
  return value;
}

/** One channel under test beside the model of it. */
class Channel {
  readonly members = new Map<string, Member>();
  readonly model: ChannelModel;
  readonly log: Delta[] = [];
  head: Head = { revision: FIRST_REVISION, occupancy: 0 };
  /** Revisions that each user's state had, and the states. */
  readonly #had = new Map<string, Map<number, States>>();
  #pendingRevision = FIRST_PENDING_REVISION;
  tick = 0;
  /** What all users have in other channels. */
  elsewhere = NOWHERE;
  readonly #sessions = new Map<string, string[]>();

  constructor(private readonly rules: Rules) {
    this.model = new ChannelModel(rules);
  }

  happen({ userId, action, states }: Happening): void {
    if (action.kind === "elsewhere") {
      this.elsewhere = action.elsewhere;
      return;
    }
    if (action.kind === "pass") {
      this.tick += action.ms;
      if (action.timersFire) for (const user of this.members.keys()) this.expire(user);
      return;
    }
    this.step(userId, this.#commandOf(userId, action, states));
  }

  /** Carries a command out in both worlds and compares what came of it. */
  step(userId: string, command: Command): void {
    const before = this.#member(userId);
    const verdict = this.model.step(userId, command, this.tick, this.elsewhere);
    const now = { tick: this.tick, wall: 1e12 + this.tick };
    let refused: string | undefined;
    try {
      const outcome = apply(before, frozen(command), now, this.rules, this.elsewhere);
      const { member, deltas, head } = seal(before, outcome, this.head, now.wall, () => ++this.#pendingRevision);
      if (outcome.unchanged) assert.deepEqual(member, before, "unchanged, it said");
      assert.deepEqual({ heard: heard(deltas), entries: outcome.entries.map(verdictOf) }, verdict);
      checkEnded(before, member, outcome, command);
      this.members.set(userId, frozen(member));
      this.log.push(...deltas);
      this.head = head;
    } catch (error) {
      if (!(error instanceof PresenceError)) throw error;
      refused = error.reason;
    }
    if (refused !== undefined) assert.deepEqual({ refused } satisfies Verdict, verdict);
    this.#compare(userId);
  }

  /** What a deadline does, and that no deadline is missing or too early. */
  expire(userId: string): void {
    const next = nextDeadline(this.#member(userId));
    const now = this.tick;
    if (next !== undefined && next > now) {
      const { outcome } = this.#tryAt(userId, next - 1);
      assert.ok(outcome.unchanged, "something ran out before the next deadline");
      assert.ok(!this.#tryAt(userId, next).outcome.unchanged, "nothing ran out at the next deadline");
    }
    this.step(userId, { kind: "expire" });
    assert.ok((nextDeadline(this.#member(userId)) ?? Infinity) > now, "what had run out is still there");
  }

  #tryAt(userId: string, tick: number) {
    return { outcome: apply(this.#member(userId), { kind: "expire" }, { tick, wall: 0 }, this.rules, NOWHERE) };
  }

  #member(userId: string): Member {
    return this.members.get(userId) ?? frozen(stranger(userId));
  }

  #compare(userId: string): void {
    const member = this.#member(userId);
    const expected = this.model.user(userId);
    assert.deepEqual(member.presence?.state.states, expected.seen);
    assert.deepEqual(member.pending?.states, expected.waiting?.states);
    assert.equal(member.pending?.revision, expected.waiting?.revision);
    assert.deepEqual(
      member.sessions.map((session) => ({
        id: session.id,
        quiet: session.quiet,
        deviceId: (session.kind === "stream" && session.deviceId) || "",
      })),
      expected.sessions.map(({ id, quiet, lease, deviceId }) => ({ id, quiet, deviceId: lease ? "" : deviceId })),
    );
    if (expected.seen) assert.equal(member.presence?.state.revision, expected.changedAt);
    assert.deepEqual(this.head, { revision: this.model.revision, occupancy: this.model.present.length });
    const { revision, states } = stateOf(member);
    if (revision === 0) return;
    const had = this.#had.get(userId) ?? new Map<number, States>();
    assert.equal(had.get(revision) ?? states, states, "a revision names one state");
    this.#had.set(userId, had.set(revision, states));
  }

  #commandOf(
    userId: string,
    action: Exclude<Action, { kind: "pass" | "elsewhere" }>,
    initialStates: Happening["states"],
  ): Command {
    const sessions = this.#sessions.get(userId) ?? [];
    this.#sessions.set(userId, sessions);
    const named = (choice: SessionChoice): string | undefined =>
      choice === "none" ? undefined : sessions.at(-1 - choice);
    const attachmentOf = (id: string | undefined): number => {
      const session = this.#member(userId).sessions.find((candidate) => candidate.id === id);
      return session?.kind === "stream" ? session.attachment : 0;
    };
    switch (action.kind) {
      case "stream":
      case "lease": {
        const sessionId = `${userId} ${sessions.length}`;
        sessions.push(sessionId);
        const { deviceId } = action;
        if (action.kind === "lease") {
          const session = { kind: "lease" as const, ttlMs: action.ttlMs };
          return { kind: "join", sessionId, session, resume: undefined, deviceId, initialStates };
        }
        const session = { kind: "stream" as const, quiet: action.quiet, timeoutMs: action.timeoutMs };
        const resume = action.resume === "none" ? undefined : sessions.at(-2 - action.resume);
        return { kind: "join", sessionId, session, resume, deviceId, initialStates };
      }
      case "detach": {
        const sessionId = named(action.session) ?? "unknown";
        const attachment = attachmentOf(sessionId) - Number(action.stale);
        return { kind: "detach", sessionId, attachment, since: this.tick - action.agoMs };
      }
      case "leave": {
        const sessionId = named(action.session);
        const current = attachmentOf(sessionId);
        const attachment = { any: undefined, current, stale: current - 1 }[action.attachment];
        return { kind: "leave", sessionId, attachment };
      }
      case "renew":
        return { kind: "renew", sessionId: named(action.session) ?? "unknown", ttlMs: action.ttlMs };
      case "set": {
        const current = stateOf(this.#member(userId)).revision;
        const past = [...(this.#had.get(userId)?.keys() ?? [])].at(-2);
        const expectedRevision = { any: undefined, current, zero: 0, past, wrong: current + 1 }[action.expected];
        return { kind: "set", states: initialStates, replace: action.replace, expectedRevision };
      }
      case "batch": {
        const entries = action.entries.map((entry) => this.#commandOf(userId, entry.action, entry.states));
        return { kind: "batch", entries: entries as (Join | SetStates)[] };
      }
      case "remove":
        return action;
    }
  }
}

function verdictOf(outcome: EntryOutcome): string {
  if (outcome === "done") return outcome;
  return outcome instanceof PresenceError ? outcome.reason : "overtaken";
}

/** Every open stream that a command took its session from is to be ended, and no stream that goes on. */
function checkEnded(before: Member, after: Member, { ended }: Outcome, command: Command): void {
  const closing = ended.map(({ sessionId, attachment }) => `${sessionId} ${attachment}`);
  const open = openStreams(after);
  for (const stream of open) assert.ok(!closing.includes(stream), `${stream} goes on, and is ended`);
  if (command.kind === "detach") return;
  for (const stream of openStreams(before))
    assert.ok(open.includes(stream) || closing.includes(stream), `${stream} hangs`);
}

function openStreams({ sessions }: Member): string[] {
  return sessions.flatMap((session) =>
    session.kind === "stream" && session.deadline === undefined ? [`${session.id} ${session.attachment}`] : [],
  );
}

/** What must be true of the log of any channel, whatever the rules are. */
function checkLog(log: readonly Delta[]): void {
  const present = new Set<string>();
  const states = new Map<string, States>();
  for (const [index, delta] of log.entries()) {
    assert.equal(delta.revision, FIRST_REVISION + index + 1, "revisions grow by exactly 1");
    assert.equal(present.has(delta.userId), delta.kind !== "join", `${delta.kind} out of turn at ${delta.revision}`);
    if (delta.kind === "join") present.add(delta.userId);
    if (delta.kind === "leave" || delta.kind === "timeout") present.delete(delta.userId);
    assert.equal(delta.occupancy, present.size, "occupancy");
    if (delta.kind !== "state") {
      states.delete(delta.userId);
      continue;
    }
    assert.equal(delta.state.revision, delta.revision);
    const { changedKeys, removedKeys } = delta;
    const before = states.get(delta.userId) ?? {};
    assert.deepEqual({ changedKeys, removedKeys }, netKeys(before, delta.state.states), "net keys");
    states.set(delta.userId, delta.state.states);
  }
}

function netKeys(before: States, after: States) {
  const keys = [...new Set([...Object.keys(before), ...Object.keys(after)])].sort();
  const valueIn = (states: States, key: string) => (Object.hasOwn(states, key) ? states[key] : undefined);
  const differs = keys.filter((key) => valueIn(before, key) !== valueIn(after, key));
  return {
    changedKeys: differs.filter((key) => Object.hasOwn(after, key)),
    removedKeys: differs.filter((key) => !Object.hasOwn(after, key)),
  };
}

describe("channel: the rules, as a property", () => {
  for (const [sameUser, leaveDebounceMs] of [
    ["multi", 0],
    ["single", 0],
    ["multi", 1000],
    ["single", 5000],
  ] as const) {
    property(
      `S1 to S4, S7 to S14 and S17 hold for any course of things, sessions of one user: ${sameUser}, debounce of leaves: ${leaveDebounceMs} ms`,
      [happenings],
      (course) => {
        const channel = new Channel({ ...TIGHT, sameUser, leaveDebounceMs });
        for (const happening of course) channel.happen(happening);
        checkLog(channel.log);
        channel.tick += 300_000;
        for (const userId of channel.members.keys()) {
          channel.expire(userId);
          const left = channel.members.get(userId)!.sessions.map(({ id }) => id);
          for (const sessionId of left) channel.step(userId, { kind: "leave", sessionId, attachment: undefined });
          channel.tick += 300_000;
          channel.expire(userId);
          assert.deepEqual(channel.members.get(userId), stranger(userId), "S23 nothing is kept for good");
        }
        checkLog(channel.log);
      },
      { runs: 500 },
    );
  }
});
