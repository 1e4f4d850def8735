/** What a connection is ended with for what it sends. The message says what that was. */
export class AbuseError extends Error {
  override readonly name = "AbuseError";
}
