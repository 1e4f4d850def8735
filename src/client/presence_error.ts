import type { DescMessage, MessageShape } from "@bufbuild/protobuf";
import { fromBinary } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { anyUnpack, durationMs } from "@bufbuild/protobuf/wkt";
import type { Metadata } from "nice-grpc";
import { ClientError, Status } from "nice-grpc";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { type Status as RichStatus, StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { ErrorReason } from "../../gen/presence/v1/error_reason_pb.js";
import { UserStateSchema } from "../../gen/presence/v1/presence_pb.js";
import { userStateOf } from "./from_wire.js";
import type { UserState } from "./types.js";

/** Why the service refused a call or ended a stream: the names of the contract's ErrorReason, without its prefix (S22). */
export type PresenceErrorReason = Exclude<keyof typeof ErrorReason, "UNSPECIFIED">;

/** The name of a gRPC status, such as `NOT_FOUND`. */
export type StatusName = Exclude<keyof typeof Status, "OK">;

/** One field of a request that the service did not accept. */
export interface FieldViolation {
  /** Which field, as the contract writes it: `channel.name`. */
  readonly field: string;
  /** What is allowed there. */
  readonly description: string;
}

/** What a PresenceError tells beside its message. */
export interface PresenceErrorDetails {
  readonly code: StatusName;
  readonly reason?: PresenceErrorReason;
  readonly violations?: readonly FieldViolation[];
  readonly metadata?: Readonly<Record<string, string>>;
  readonly retryAfterMs?: number;
  readonly currentState?: UserState;
}

/** The one kind of error that calls and streams of this client fail with, save for an aborted signal's own reason. */
export class PresenceError extends Error {
  override readonly name = "PresenceError";
  /** The gRPC status: what to fall back to where `reason` is absent. */
  readonly code: StatusName;
  /** Why, in a word to act on. Absent when the failure is the transport's own (nobody answers), or newer than this client. */
  readonly reason: PresenceErrorReason | undefined;
  /** Which fields of the request were not accepted; empty unless `code` is `INVALID_ARGUMENT`. */
  readonly violations: readonly FieldViolation[];
  /** Particulars of the reason, such as `limit` and `actual`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** How long to wait before trying again, in milliseconds, when the server says so. */
  readonly retryAfterMs: number | undefined;
  /** With `STATE_REVISION_MISMATCH`: the state as it is now (S14). */
  readonly currentState: UserState | undefined;

  constructor(message: string, details: PresenceErrorDetails, options?: ErrorOptions) {
    super(message, options);
    this.code = details.code;
    this.reason = details.reason;
    this.violations = details.violations ?? [];
    this.metadata = details.metadata ?? {};
    this.retryAfterMs = details.retryAfterMs;
    this.currentState = details.currentState;
  }

  /** What `JSON.stringify` writes: all of it but the stack and the cause. */
  toJSON(): object {
    const { name, message, code, reason, violations, metadata, retryAfterMs, currentState } = this;
    return { name, message, code, reason, violations, metadata, retryAfterMs, currentState };
  }
}

/** The domain under which the service's reasons are to be read. */
const DOMAIN = "presence.v1";

/** The trailer in which gRPC carries a `google.rpc.Status`. */
const DETAILS_TRAILER = "grpc-status-details-bin";

/** Makes a PresenceError of what a nice-grpc call failed with; anything but a gRPC status is handed back as it is. */
export function presenceErrorOf(error: unknown, trailer: Metadata | undefined): unknown {
  if (!(error instanceof ClientError)) return error;
  const code = (Status[error.code] ?? "UNKNOWN") as StatusName;
  return new PresenceError(
    error.details,
    { code, ...readDetails(unpackStatus(trailer?.get(DETAILS_TRAILER))) },
    { cause: error },
  );
}

/** Makes a PresenceError of the status that stands in a batch's answer; of none, one of which nothing is known. */
export function presenceErrorOfStatus(status: RichStatus | undefined): PresenceError {
  const code = (Status[status?.code ?? Status.UNKNOWN] ?? "UNKNOWN") as StatusName;
  const message = status?.message ?? "the server's answer is not one that this client knows";
  return new PresenceError(message, { code, ...readDetails(status?.details ?? []) });
}

function readDetails(details: readonly Any[]): Omit<PresenceErrorDetails, "code"> {
  const info = details.map((any) => unpack(any, ErrorInfoSchema)).find((found) => found?.domain === DOMAIN);
  const badRequest = first(details, BadRequestSchema);
  const retryDelay = first(details, RetryInfoSchema)?.retryDelay;
  const current = first(details, UserStateSchema);
  return {
    ...(info && { reason: knownReason(info.reason), metadata: info.metadata }),
    ...(badRequest && {
      violations: badRequest.fieldViolations.map(({ field, description }) => ({ field, description })),
    }),
    ...(retryDelay && { retryAfterMs: durationMs(retryDelay) }),
    ...(current && { currentState: userStateOf(current) }),
  };
}

function knownReason(reason: string): PresenceErrorReason | undefined {
  return reason !== "UNSPECIFIED" && Object.hasOwn(ErrorReason, reason) && Number.isNaN(Number(reason))
    ? (reason as PresenceErrorReason)
    : undefined;
}

/** Details that cannot be read must not hide the failure that they belong to: they count as absent. */
function unpackStatus(value: string | Uint8Array | undefined): readonly Any[] {
  if (!(value instanceof Uint8Array)) return [];
  try {
    return fromBinary(StatusSchema, value).details;
  } catch {
    return [];
  }
}

function unpack<T extends DescMessage>(any: Any, schema: T): MessageShape<T> | undefined {
  try {
    return anyUnpack(any, schema);
  } catch {
    return undefined;
  }
}

function first<T extends DescMessage>(details: readonly Any[], schema: T): MessageShape<T> | undefined {
  for (const any of details) {
    const message = unpack(any, schema);
    if (message) return message;
  }
  return undefined;
}
