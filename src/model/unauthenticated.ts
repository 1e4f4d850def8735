import { PresenceError } from "./errors.js";

/** A refusal of whoever has not shown who it is. The same for every cause: why would help nobody but a forger. */
export function notAuthenticated(): PresenceError {
  return new PresenceError("NOT_AUTHENTICATED", "this server asks for a valid token, or for a client certificate");
}

/** A refusal of whoever showed who it was, until a moment that has passed; what ends its stream, too. */
export function tokenExpired(): PresenceError {
  return new PresenceError("TOKEN_EXPIRED", "the token has expired; come back with a fresh one");
}
