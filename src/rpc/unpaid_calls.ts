import { constants, type Http2Session, type ServerHttp2Stream } from "node:http2";
import type { Clock, Timer } from "../time/clock.js";

/** Settings of `UnpaidCalls`. */
export interface UnpaidCallsOptions {
  readonly clock: Clock;
  /** Maximum bytes of the requests of refused calls whose answers wait, of all connections together. */
  readonly maxWaitingBytes: number;
  /** Maximum concurrent streams of a connection. */
  readonly maxStreams: number;
  /** Runs its argument in a later turn of the event loop. */
  readonly schedule: (turn: () => void) => void;
}

/** Concurrent streams of a new connection, unless the maximum is lower. */
export const INITIAL_STREAMS = 100;
/** Growth of that limit with the first admitted call, and each time that half as many calls as it allows were admitted. */
const STREAMS_FACTOR = 4;

/** Unpaid calls of one connection that are not delayed: per second, and at once after a pause. */
const CALLS_PER_SECOND = 100;
const BURST = 100;
/** A refused request of this size, in bytes, costs as much as one more call. */
const BYTES_PER_CALL = 16 * 1024;
/** Refused and reset calls that end a connection on which no call was admitted. */
const MOST_WASTED = 150;
/** A call that is reset before it begins counts as this number of refused calls: no ordinary client does that. */
const RESET_COST = 3;
/** Maximum delay of a call, in ms. */
const MOST_DELAY_MS = 20_000;

const MS_PER_CALL = 1000 / CALLS_PER_SECOND;
const BURST_MS = BURST * MS_PER_CALL;

/** What is done later for a call. */
interface Delayed {
  /** A tick of the clock. */
  readonly due: number;
  readonly bytes: number;
  readonly run: () => void;
}

/** The unpaid calls of one connection. */
interface Account {
  /** Calls of authenticated users within their rate limits. */
  admitted: number;
  /** Maximum concurrent streams. */
  streams: number;
  /** Calls that have begun and were neither admitted nor refused, less one for each admitted call. */
  unhandled: number;
  /** Calls that were refused, and `RESET_COST` for each that the client reset before it began. */
  wasted: number;
  /** The tick at which the calls that were charged so far are paid for. */
  paidAt: number;
  /** The earliest first. */
  readonly delayed: Delayed[];
  timer: Timer | undefined;
}

/**
 * Charges calls that no user's rate limit pays for to their connection: calls without a valid token, calls beyond a rate
 * limit, and calls of services that ask for no token. Each costs about as much CPU time as a call that is carried out.
 *
 * Beyond 100 per second they are delayed, so that the concurrent streams of a client bound their rate. Until a call was
 * admitted on the connection, calls wait before they begin. After that only answers of refused calls wait: behind a proxy,
 * calls of other users on the same connection are not delayed. A connection with many refused or reset calls and no
 * admitted call is ended.
 *
 * The limit of concurrent streams begins at 100 and grows with the calls that are admitted: a user beyond its rate limit
 * cannot begin many calls at once.
 */
export class UnpaidCalls {
  readonly #accounts = new WeakMap<Http2Session, Account>();
  #delayed = 0;
  #delayedBytes = 0;

  constructor(private readonly options: UnpaidCallsOptions) {}

  /** Number of calls that are delayed. */
  get delayed(): number {
    return this.#delayed;
  }

  /**
   * Runs `begin` for a new call, now or later. `isOfUser`: the call is refused unless it is within the rate limits of an
   * authenticated user.
   */
  begin(stream: ServerHttp2Stream, isOfUser: boolean, begin: () => void): void {
    const { session } = stream;
    if (!session || session.destroyed) return;
    const account = this.#accountOf(session);
    account.unhandled++;
    if (isOfUser && this.#isPaying(account)) {
      begin();
      return;
    }
    // grpc-js listens to errors of a stream only once the call has begun.
    stream.on("error", () => {});
    const wasReset = () => this.#waste(session, account, RESET_COST);
    stream.once("aborted", wasReset);
    // In a later turn, in which a client that resets its calls at once has reset this one.
    this.#charge(account, 0, () =>
      this.options.schedule(() => {
        stream.off("aborted", wasReset);
        if (stream.closed) return;
        begin();
        // The end of a request without a message is not emitted again for those who listen now.
        if (stream.readableEnded) stream.emit("end");
      }),
    );
  }

  /** A call of an authenticated user within its rate limits is about to be carried out. */
  admitted(session: Http2Session): void {
    const account = this.#accountOf(session);
    account.unhandled = Math.max(0, account.unhandled - 2);
    account.admitted++;
    if (account.admitted === 1 || account.admitted * 2 >= account.streams) this.#raiseStreams(session, account);
    if (account.admitted > 1) return;
    account.paidAt = Number.NEGATIVE_INFINITY;
    this.#run(account, account.delayed.length);
  }

  /** Runs `answer` for a refused call with a request of `bytes` bytes, now or later. */
  refused(session: Http2Session, bytes: number, answer: () => void): void {
    if (session.destroyed) return;
    const account = this.#accountOf(session);
    account.unhandled--;
    if (account.admitted > 0) {
      this.#charge(account, bytes, answer);
    } else if (this.#waste(session, account, 1)) {
      // The call itself was charged when it began.
      account.paidAt += (bytes / BYTES_PER_CALL) * MS_PER_CALL;
      answer();
    }
  }

  /**
   * Whether calls of users begin without a charge. Not after many calls that never reached a handler, such as those
   * without a request, unless half of the calls are admitted.
   */
  #isPaying({ admitted, unhandled }: Account): boolean {
    return admitted > 0 && unhandled <= 2 * this.options.maxStreams;
  }

  /** Counts a wasted call. False: the connection was ended. */
  #waste(session: Http2Session, account: Account, cost: number): boolean {
    account.wasted += cost;
    if (account.admitted > 0 || account.wasted <= MOST_WASTED) return true;
    session.destroy(new Error("refused and reset calls, and none admitted"), constants.NGHTTP2_ENHANCE_YOUR_CALM);
    return false;
  }

  #charge(account: Account, bytes: number, run: () => void): void {
    const { clock, maxWaitingBytes } = this.options;
    const now = clock.now().tick;
    const cost = (1 + bytes / BYTES_PER_CALL) * MS_PER_CALL;
    const due = Math.min(Math.max(account.paidAt, now - BURST_MS) + cost, now + MOST_DELAY_MS);
    account.paidAt = due;
    if (due <= now || this.#delayedBytes + bytes > maxWaitingBytes) {
      run();
      return;
    }
    account.delayed.push({ due, bytes, run });
    this.#delayed++;
    this.#delayedBytes += bytes;
    account.timer ??= clock.setTimer(due - now, () => this.#runDue(account));
  }

  #accountOf(session: Http2Session): Account {
    let account = this.#accounts.get(session);
    if (!account) {
      const opened: Account = {
        admitted: 0,
        streams: Math.min(INITIAL_STREAMS, this.options.maxStreams),
        unhandled: 0,
        wasted: 0,
        paidAt: Number.NEGATIVE_INFINITY,
        delayed: [],
        timer: undefined,
      };
      account = opened;
      this.#accounts.set(session, account);
      session.once("close", () => this.#take(opened, opened.delayed.length));
    }
    return account;
  }

  #raiseStreams(session: Http2Session, account: Account): void {
    const streams = Math.min(account.streams * STREAMS_FACTOR, this.options.maxStreams);
    if (streams === account.streams || session.closed) return;
    account.streams = streams;
    session.settings({ maxConcurrentStreams: streams });
  }

  #runDue(account: Account): void {
    const now = this.options.clock.now().tick;
    const later = account.delayed.findIndex(({ due }) => due > now);
    this.#run(account, later < 0 ? account.delayed.length : later);
  }

  #run(account: Account, count: number): void {
    for (const { run } of this.#take(account, count)) run();
  }

  /** Removes the first of the delayed calls, and sets the timer for the others. */
  #take(account: Account, count: number): readonly Delayed[] {
    const { clock } = this.options;
    account.timer?.cancel();
    account.timer = undefined;
    const taken = account.delayed.splice(0, count);
    this.#delayed -= taken.length;
    for (const { bytes } of taken) this.#delayedBytes -= bytes;
    const [next] = account.delayed;
    if (next) account.timer = clock.setTimer(next.due - clock.now().tick, () => this.#runDue(account));
    return taken;
  }
}
