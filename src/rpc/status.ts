import { create, toBinary } from "@bufbuild/protobuf";
import { type Any, anyPack, durationFromMs } from "@bufbuild/protobuf/wkt";
import { Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { type Status, StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { type UserState as PbUserState, UserStateSchema } from "../../gen/presence/v1/presence_pb.js";
import { PresenceError, type Reason } from "../model/errors.js";
import { NO_STATES, type UserState } from "../model/user_state.js";
import { fromUserState } from "../wire/messages.js";

/** The `domain` of every ErrorInfo. */
export const ERROR_DOMAIN = "presence.v1";

const CODES: Readonly<Record<Reason, status>> = {
  PRESENCE_USER_NOT_EXIST: status.NOT_FOUND,
  INVALID_ARGUMENT: status.INVALID_ARGUMENT,
  INVALID_CHANNEL_NAME: status.INVALID_ARGUMENT,
  INVALID_CHANNEL_TYPE: status.INVALID_ARGUMENT,
  INVALID_USER_ID: status.INVALID_ARGUMENT,
  INVALID_STATE_KEY: status.INVALID_ARGUMENT,
  STATE_KEY_SIZE_OVERFLOW: status.INVALID_ARGUMENT,
  STATE_VALUE_SIZE_OVERFLOW: status.INVALID_ARGUMENT,
  INVALID_PAGE_TOKEN: status.INVALID_ARGUMENT,
  STATE_COUNT_OVERFLOW: status.FAILED_PRECONDITION,
  STATE_SIZE_OVERFLOW: status.FAILED_PRECONDITION,
  CACHED_TOO_MANY_STATES: status.FAILED_PRECONDITION,
  TOO_MANY_CHANNELS: status.FAILED_PRECONDITION,
  SESSION_NOT_FOUND: status.NOT_FOUND,
  STATE_REVISION_MISMATCH: status.ABORTED,
  SAME_USER_REPLACED: status.ABORTED,
  RATE_LIMITED: status.RESOURCE_EXHAUSTED,
  NOT_AUTHENTICATED: status.UNAUTHENTICATED,
  TOKEN_EXPIRED: status.UNAUTHENTICATED,
  NOT_ALLOWED: status.PERMISSION_DENIED,
  PRESENCE_OUT_OF_SERVICE: status.UNAVAILABLE,
  SERVER_DRAINING: status.UNAVAILABLE,
  NOT_IMPLEMENTED: status.UNIMPLEMENTED,
  SUBSCRIBER_TOO_SLOW: status.UNAVAILABLE,
  INTERNAL: status.INTERNAL,
  TOO_MANY_SESSIONS: status.FAILED_PRECONDITION,
  QUOTA_EXCEEDED: status.RESOURCE_EXHAUSTED,
  SERVER_OVERLOADED: status.UNAVAILABLE,
};

/*
 * Trailers beyond 8 KiB are refused by some clients, so what callers can make long is cut. In bytes of UTF-8, which
 * Base64 and percent encoding make longer still.
 */
const MAX_TEXT_BYTES = 256;
const MAX_VIOLATION_TEXT_BYTES = 128;
const MAX_VIOLATIONS = 8;
const MAX_STATE_BYTES = 4096;

/** What refusals became: one that is given again and again, as when a client runs wild, is encoded once. */
const encoded = new WeakMap<PresenceError, ServiceError>();

/** The one place where a domain error becomes a gRPC status with details (S22). The same object for the same refusal. */
export function toServiceError(error: unknown): ServiceError {
  if (!(error instanceof PresenceError)) return encode(error);
  let answer = encoded.get(error);
  if (!answer) {
    answer = encode(error);
    encoded.set(error, answer);
  }
  return answer;
}

function encode(error: unknown): ServiceError {
  const rich = toStatus(error);
  const { code, message } = rich;
  const metadata = new Metadata();
  metadata.set("grpc-status-details-bin", Buffer.from(toBinary(StatusSchema, rich)));
  return Object.assign(new Error(message), { code, details: message, metadata });
}

/** The same as a message, for a batch's entry. A state in the details that takes more bytes comes without its pairs. */
export function toStatus(error: unknown, maxStateBytes = MAX_STATE_BYTES): Status {
  const refusal =
    error instanceof PresenceError ? error : new PresenceError("INTERNAL", "something failed inside the server");
  const message = shorten(refusal.message);
  return create(StatusSchema, { code: CODES[refusal.reason], message, details: detailsOf(refusal, maxStateBytes) });
}

/** A request beyond its method's limit, in the words in which grpc-js refuses one that is beyond the server's (S21). */
export function tooLarge(bytes: number, limit: number): ServiceError {
  return serviceError(status.RESOURCE_EXHAUSTED, `Received message larger than max (${bytes} vs. ${limit})`);
}

/** A failure without details: of the standard services, or of the transport. */
export function serviceError(code: status, details: string): ServiceError {
  return Object.assign(new Error(details), { code, details, metadata: new Metadata() });
}

function detailsOf(error: PresenceError, maxStateBytes: number): Any[] {
  const metadata = Object.fromEntries(Object.entries(error.metadata).map(([key, value]) => [key, shorten(value)]));
  const details = [
    anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason: error.reason, domain: ERROR_DOMAIN, metadata })),
  ];
  if (error.violations.length > 0) {
    const fieldViolations = error.violations.slice(0, MAX_VIOLATIONS).map(({ field, description, reason }) => ({
      field: shorten(field, MAX_VIOLATION_TEXT_BYTES),
      description: shorten(description, MAX_VIOLATION_TEXT_BYTES),
      reason,
    }));
    details.push(anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations })));
  }
  if (error.retryAfterMs !== undefined) {
    const retryDelay = durationFromMs(error.retryAfterMs);
    details.push(anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay })));
  }
  if (error.currentState) details.push(anyPack(UserStateSchema, fitting(error.currentState, maxStateBytes)));
  return details;
}

/** A state that is too large comes without its pairs; its revision tells that it is to be read. */
function fitting(state: UserState, maxBytes: number): PbUserState {
  const whole = fromUserState(state);
  return toBinary(UserStateSchema, whole).length > maxBytes ? fromUserState({ ...state, states: NO_STATES }) : whole;
}

function shorten(text: string, maxBytes = MAX_TEXT_BYTES): string {
  if (text.length * 3 <= maxBytes) return text;
  const bytes = Buffer.from(text);
  if (bytes.length <= maxBytes) return text;
  // What is left of a character that was cut in two decodes as U+FFFD.
  return `${bytes
    .subarray(0, maxBytes - 3)
    .toString()
    .replace(/\ufffd+$/, "")}…`;
}
