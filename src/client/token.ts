import type { ClientMiddleware } from "nice-grpc";
import { Metadata } from "nice-grpc";
import { headerValue } from "./arguments.js";
import { PresenceError } from "./presence_error.js";

/**
 * A token that shows who calls, or a function that gives one. The function is called anew for each call and each
 * opening of a stream, so it should remember a token for as long as that is good.
 */
export type TokenSource = string | (() => string | Promise<string>);

/**
 * Sends a token along with every call (`authorization: Bearer …`). Where it comes from a function, TOKEN_EXPIRED
 * counts as passing, since the next try brings another one: a subscription whose token expires goes on by itself. A
 * function that fails makes the call fail with UNAVAILABLE, which a subscription waits out; one that returns no string
 * makes it fail with a TypeError, which ends the subscription.
 */
export function sendToken(source: TokenSource): ClientMiddleware {
  return async function* sendsToken(call, options) {
    const token = await tokenFrom(source);
    // The caller may have lost patience meanwhile.
    options.signal?.throwIfAborted();
    const metadata = Metadata(options.metadata).set("authorization", `Bearer ${token}`);
    try {
      return yield* call.next(call.request, { ...options, metadata });
    } catch (error) {
      throw typeof source === "function" ? passingIfExpired(error) : error;
    }
  };
}

async function tokenFrom(source: TokenSource): Promise<string> {
  if (typeof source === "string") return source;
  let token: unknown;
  try {
    token = await source();
  } catch (cause) {
    throw new PresenceError("the function that gives the token failed", { code: "UNAVAILABLE" }, { cause });
  }
  return headerValue(token, "createPresenceClient: what options.token returns");
}

/** The server does not know whether there is a fresh token, and so names no time for another try; this client does. */
function passingIfExpired(error: unknown): unknown {
  if (!(error instanceof PresenceError) || error.reason !== "TOKEN_EXPIRED") return error;
  const { message, code, reason, violations, metadata, cause } = error;
  return new PresenceError(message, { code, reason, violations, metadata, retryAfterMs: 0 }, { cause });
}
