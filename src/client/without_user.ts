import type { PresenceEvent } from "./events.js";
import { withJson } from "./json.js";

/** The event without what one user caused; undefined if nothing is left of it. */
export function withoutUser(event: PresenceEvent, userId: string): PresenceEvent | undefined {
  switch (event.kind) {
    case "join":
    case "leave":
    case "timeout":
    case "state_changed":
      return event.userId === userId ? undefined : event;
    case "interval": {
      const isOther = (id: string): boolean => id !== userId;
      const joined = event.joined.filter(isOther);
      const left = event.left.filter(isOther);
      const timedOut = event.timedOut.filter(isOther);
      const changed = event.changed.filter((state) => isOther(state.userId));
      if (joined.length + left.length + timedOut.length + changed.length === 0) return undefined;
      return withJson({ ...event, joined, left, timedOut, changed });
    }
    default:
      return event;
  }
}
