import { randomBytes } from "node:crypto";

/** A name for a new session: 128 bits that nobody can guess. */
export function newSessionId(): string {
  return randomBytes(16).toString("base64url");
}
