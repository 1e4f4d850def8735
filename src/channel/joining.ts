import type { Limits } from "../model/limits.js";
import type { Elsewhere } from "./apply.js";
import type { Join } from "./command.js";
import { type DetachedSession, hasAttached, isDetached, newLease, type Session, type StreamSession } from "./member.js";
import { tooManyChannels, tooManyDetachedChannels } from "./refusals.js";

/** A user has sessions in at most this many times the channels of its limit, those where all are detached included. */
const MAX_CHANNELS_FACTOR = 2;

/**
 * Refuses a join to a channel, where the user has `sessions`, that would be one too many. Channels where all of the
 * user's sessions are detached count only towards the limit of all channels.
 */
export function checkChannels(
  sessions: readonly Session[],
  { channels, attachedChannels }: Elsewhere,
  { maxChannelsPerUser }: Limits,
): void {
  if (!hasAttached(sessions) && attachedChannels >= maxChannelsPerUser) throw tooManyChannels(maxChannelsPerUser);
  const maxChannels = MAX_CHANNELS_FACTOR * maxChannelsPerUser;
  if (sessions.length === 0 && channels >= maxChannels) throw tooManyDetachedChannels(maxChannels);
}

/** The session that a join makes at `tick`, or makes of the one that it takes up. */
export function newSession(command: Join, old: StreamSession | undefined, tick: number): Session {
  const { session } = command;
  if (session.kind === "lease") return newLease(command.sessionId, session.ttlMs, tick);
  const { quiet, timeoutMs } = session;
  const id = old?.id ?? command.sessionId;
  const attachment = old ? old.attachment + 1 : 0;
  const deviceId = deviceOf(command, old);
  if (deviceId === undefined) return { kind: "stream", id, quiet, timeoutMs, attachment, deadline: undefined };
  return { kind: "stream", id, quiet, timeoutMs, attachment, deadline: undefined, deviceId };
}

/** The device of the session that a join makes or takes up; `undefined`: the one without a label. */
export function deviceOf({ deviceId }: Join, resumed: StreamSession | undefined): string | undefined {
  if (resumed) return resumed.deviceId;
  return deviceId === "" ? undefined : deviceId;
}

/**
 * The sessions without as many as must end so that one more, quiet or not, makes at most `max`: the longest detached
 * ones. A quiet session ends only quiet ones, because the end of the user's last session that is not quiet would be an
 * event. Too many are left where too few are detached.
 */
export function withRoomForOne(sessions: readonly Session[], quiet: boolean, max: number): readonly Session[] {
  const excess = sessions.length + 1 - max;
  if (excess <= 0) return sessions;
  const detached = sessions.filter(isDetached).filter((session) => session.quiet || !quiet);
  detached.sort((a, b) => detachedAt(a) - detachedAt(b));
  const ending = new Set<Session>(detached.slice(0, excess));
  return sessions.filter((session) => !ending.has(session));
}

/** The tick at which a detached session lost its stream. */
function detachedAt({ deadline, timeoutMs }: DetachedSession): number {
  return deadline - timeoutMs;
}
