import type { PresenceClient } from "../client/index.js";
import { createPresenceClient } from "../client/index.js";
import { CommandFailure } from "./failure.js";
import type { Io } from "./io.js";
import type { ConnectionFlags } from "./options.js";
import { userOf } from "./options.js";

/** What a command's work is given. */
export interface Session {
  readonly presence: PresenceClient;
  /** A signal for one call, aborted after `--timeout`, or when nobody reads stdout any more. */
  deadline(): AbortSignal;
}

/** Runs a command's work with a client that is closed afterwards, however the work ends. */
export async function withPresence(
  io: Io,
  flags: ConnectionFlags,
  work: (session: Session) => Promise<void>,
): Promise<void> {
  const userId = userOf(flags);
  const presence = createPresenceClient({
    address: flags.address,
    userId,
    ...(flags.token !== undefined && { token: flags.token }),
  });
  const deadline = (): AbortSignal => AbortSignal.any([io.stdoutClosed, AbortSignal.timeout(flags.timeout)]);
  try {
    await work({ presence, deadline });
  } catch (error) {
    // A command that fails because nobody reads its output has done its work.
    if (!io.stdoutClosed.aborted) throw new CommandFailure(error, flags.address);
  } finally {
    await presence.close();
  }
}
