import type { LeaseSession, Member, Session } from "../channel/member.js";
import type { SessionPlace } from "../engine/engine.js";

/** A lease as of its last renewal, which the engine need not have heard of. */
export class KeptLease {
  constructor(
    readonly place: SessionPlace,
    /** Time to live after a renewal, in ms. */
    public ttlMs: number,
    /** The tick at which it runs out. */
    public deadline: number,
  ) {}

  /**
   * Renews the lease at `tick`, for the time to live that is given or that it had (S17). False, with nothing changed,
   * when that has to be a command: it has run out by then, or would run out earlier than before.
   */
  putOff(ttlMs: number | undefined, tick: number): boolean {
    const life = ttlMs ?? this.ttlMs;
    if (this.deadline <= tick || tick + life < this.deadline) return false;
    this.ttlMs = life;
    this.deadline = tick + life;
    return true;
  }
}

/**
 * Renewals of leases that are not stored (S17): to put a deadline off is to change a number here, and whoever reads the
 * member is shown it as of the last renewal.
 *
 * Holds only where nobody else reads or ends the members: with an engine in this process. Where a store is shared by
 * several servers each renewal has to be a commit, or another server would time the user out by the deadline it knows.
 */
export class Renewals {
  readonly #leases = new Map<string, KeptLease>();

  /** How many leases are kept here: those that were renewed at least once, and live. */
  get size(): number {
    return this.#leases.size;
  }

  /** The lease of this session, if it is kept here. */
  find(sessionId: string): KeptLease | undefined {
    return this.#leases.get(sessionId);
  }

  /** Begins to keep a lease, as it has just been stored. */
  keep(place: SessionPlace, { id, ttlMs, deadline }: LeaseSession): void {
    this.#leases.set(id, new KeptLease(place, ttlMs, deadline));
  }

  /** A stored member with its leases as of their last renewals; the very same one where there were none. */
  applyTo(member: Member): Member {
    if (this.#leases.size === 0) return member;
    const sessions = member.sessions.map((session) => this.#current(session));
    return sessions.some((session, i) => session !== member.sessions[i]) ? { ...member, sessions } : member;
  }

  /** Forgets the leases of `before` that `after` no longer has. */
  forgetEnded(before: Member, after: Member): void {
    if (this.#leases.size === 0 || before.sessions === after.sessions) return;
    for (const { kind, id } of before.sessions) {
      if (kind === "lease" && !after.sessions.some((session) => session.id === id)) this.#leases.delete(id);
    }
  }

  #current(session: Session): Session {
    if (session.kind !== "lease") return session;
    const kept = this.#leases.get(session.id);
    if (!kept || kept.deadline === session.deadline) return session;
    return { ...session, ttlMs: kept.ttlMs, deadline: kept.deadline };
  }
}
