import { apply, type EndedSession, type Outcome, type Rules } from "../channel/apply.js";
import type { Command } from "../channel/command.js";
import { type Member, nextDeadline } from "../channel/member.js";
import type { Committed, Engine, MemberRecord } from "../engine/engine.js";
import { type ChannelId, type ChannelKey, type ChannelType, channelKey } from "../model/channel_id.js";
import { PresenceError } from "../model/errors.js";
import type { Position } from "../model/position.js";
import type { Clock } from "../time/clock.js";
import { Deadlines } from "../time/deadlines.js";

/** How often a commit that meets other writers is tried before the engine counts as out of service. */
const MAX_TRIES = 32;

/** What became of a command. */
export interface Result {
  readonly member: Member;
  readonly outcome: Outcome;
  readonly position: Position;
  readonly occupancy: number;
}

/** What the members need. */
export interface MembersOptions {
  readonly engine: Engine;
  readonly clock: Clock;
  readonly rules: Rules;
  /** A session is over by what another call did: its stream, if it is here, is to be closed. */
  readonly onEnded: (ended: EndedSession) => void;
  /** Carrying out a deadline failed; it is tried again. */
  readonly onError: (error: unknown) => void;
}

/** How long to wait before a deadline is tried again that could not be carried out, in ms. */
const RETRY_DEADLINE_MS = 1000;

/**
 * Carries commands out: reads, applies the rules, commits, and again if somebody else was faster. Keeps the deadlines
 * of all that runs out.
 */
export class Members {
  readonly #deadlines: Deadlines<string>;
  /** Members for whom a command is being carried out, and who waits for its end. */
  readonly #turns = new Map<string, (() => void)[]>();

  constructor(private readonly options: MembersOptions) {
    this.#deadlines = new Deadlines(options.clock, (key) => this.#expire(key));
  }

  /**
   * Carries out one command; throws a PresenceError, with nothing changed, if the rules refuse it. `onCommitted` is
   * called at once, before anybody can build on the commit.
   *
   * One at a time for a member: where an engine's answers overtake each other, so would what is made of them here.
   */
  async run(
    channel: ChannelId,
    userId: string,
    command: Command,
    onCommitted: (result: Result) => void = () => {},
  ): Promise<Result> {
    const key = memberKey(channelKey(channel), userId);
    for (let waiting = this.#turns.get(key); waiting; waiting = this.#turns.get(key)) await nextTurn(waiting);
    const waiting: (() => void)[] = [];
    this.#turns.set(key, waiting);
    try {
      const { engine, clock, rules } = this.options;
      for (let tries = 0; tries < MAX_TRIES; tries++) {
        // An engine that answers at once is not waited for: each wait is a promise more.
        const reading = engine.read(channel, userId);
        const read = reading instanceof Promise ? await reading : reading;
        const now = clock.now();
        const outcome = apply(read.member, command, now, rules, read.elsewhere);
        if (outcome.unchanged) {
          return { member: read.member, outcome, ...(await engine.summary(channel)) };
        }
        const dependsOnElsewhere =
          outcome.pending !== read.member.pending || (command.kind === "join" && read.member.sessions.length === 0);
        const committing = engine.commit({ channel, read, outcome, wall: now.wall, dependsOnElsewhere });
        const committed = committing instanceof Promise ? await committing : committing;
        if (committed !== "conflict") {
          this.#committed(key, read, committed);
          for (const ended of outcome.ended) this.options.onEnded(ended);
          const { member, position, occupancy } = committed;
          const result = { member, outcome, position, occupancy };
          onCommitted(result);
          return result;
        }
      }
      throw new PresenceError("PRESENCE_OUT_OF_SERVICE", "too many others write the same state", { retryAfterMs: 100 });
    } finally {
      this.#turns.delete(key);
      for (const go of waiting) go();
    }
  }

  /** Stops waiting for deadlines. */
  close(): void {
    this.#deadlines.clear();
  }

  #committed(key: string, read: MemberRecord, { member }: Committed): void {
    const next = nextDeadline(member);
    if (next !== nextDeadline(read.member)) this.#deadlines.set(key, next);
  }

  #expire(key: string): void {
    const { channel, userId } = parseMemberKey(key);
    this.run(channel, userId, { kind: "expire" }).catch((error: unknown) => {
      this.options.onError(error);
      this.#deadlines.set(key, this.options.clock.now().tick + RETRY_DEADLINE_MS);
    });
  }
}

function nextTurn(waiting: (() => void)[]): Promise<void> {
  return new Promise((resolve) => waiting.push(resolve));
}

/** No name holds control characters, so NUL parts the two for certain. */
function memberKey(channel: ChannelKey, userId: string): string {
  return `${channel}\0${userId}`;
}

function parseMemberKey(key: string): { channel: ChannelId; userId: string } {
  const end = key.indexOf("\0");
  const type = Number(key.slice(0, 1)) as ChannelType;
  return { channel: { type, name: key.slice(2, end) }, userId: key.slice(end + 1) };
}
