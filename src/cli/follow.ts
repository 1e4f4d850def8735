import type { Reconnecting, SubscriptionStatus } from "../client/index.js";
import { PresenceError } from "../client/index.js";
import { EXIT_CODES, exitCodeOf, StreamEnded } from "./exit_codes.js";
import type { Io } from "./io.js";
import { printLine } from "./io.js";
import { jsonLine } from "./printable.js";

/** A subscription or a feed. */
export interface Followed<Event> extends AsyncIterable<Event> {
  close(): Promise<void>;
}

/** What a stream is opened with. */
export interface StreamOptions {
  readonly signal: AbortSignal;
  readonly reconnect: { readonly connectTimeoutMs: number };
  readonly onStatus: (status: SubscriptionStatus) => void;
}

/** A stream to read, and what is done with it. */
export interface Follow<Event, Stream extends Followed<Event>> {
  /** Time for the first event, in milliseconds. */
  readonly timeoutMs: number;
  /** Print a last line of JSON that says why the stream ended. */
  readonly json: boolean;
  /** What the error says when the server ends the stream without one. */
  readonly endedElsewhere: string;
  open(options: StreamOptions): Stream;
  show(event: Event, stream: Stream): void;
  /** The connection is lost and will be tried again. */
  lost(status: Reconnecting): void;
  /** Called once, before the stream is closed. */
  end(): void;
}

/**
 * Reads a stream until a signal ends it or standard output is closed. Rejects with the stream's error, or with
 * StreamEnded when the server ended it without one.
 */
export async function follow<Event, Stream extends Followed<Event>>(
  io: Io,
  { timeoutMs, json, endedElsewhere, open, show, lost, end }: Follow<Event, Stream>,
): Promise<void> {
  // The deadline is for the beginning alone: the stream itself has no end.
  const opening = new AbortController();
  const timer = setTimeout(() => opening.abort(new DOMException("no answer in time", "TimeoutError")), timeoutMs);
  const stream = open({
    signal: opening.signal,
    // A wrong address must fail at once; a connection that worked is worth waiting for.
    reconnect: { connectTimeoutMs: 0 },
    onStatus: (status) => {
      if (status.state === "reconnecting") lost(status);
    },
  });
  let begun = false;
  let asked = false;
  const leave = (): void => {
    asked = true;
    void stream.close();
  };
  const stopListening = io.onInterrupt(leave);
  io.stdoutClosed.addEventListener("abort", leave);
  const closing = (error: unknown): void => {
    if (json && begun && !io.stdoutClosed.aborted) printLine(io, jsonLine(closedObject(error)));
  };
  try {
    for await (const event of stream) {
      clearTimeout(timer);
      begun = true;
      show(event, stream);
    }
    if (!asked) throw new StreamEnded(endedElsewhere);
    closing(undefined);
  } catch (error) {
    closing(error);
    throw error;
  } finally {
    clearTimeout(timer);
    io.stdoutClosed.removeEventListener("abort", leave);
    end();
    await stream.close();
    stopListening();
  }
}

/** The last line of JSON: why a stream ended, and the exit code. Without an error a signal ended it. */
function closedObject(error: unknown): object {
  const base = { kind: "closed", time: new Date() };
  if (error === undefined) return { ...base, reason: "INTERRUPTED", exitCode: EXIT_CODES.ok };
  const exitCode = exitCodeOf(error);
  const message = error instanceof Error ? error.message : String(error);
  if (error instanceof StreamEnded) return { ...base, reason: error.reason, message, exitCode };
  if (error instanceof PresenceError) {
    return { ...base, reason: error.reason ?? error.code, code: error.code, message, exitCode };
  }
  return { ...base, reason: "INTERNAL", message, exitCode };
}
