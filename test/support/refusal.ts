import { fromBinary } from "@bufbuild/protobuf";
import { type Any, anyUnpack } from "@bufbuild/protobuf/wkt";
import { ClientError, Status } from "nice-grpc";
import {
  type BadRequest,
  BadRequestSchema,
  type ErrorInfo,
  ErrorInfoSchema,
  RetryInfoSchema,
} from "../../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../gen/google/rpc/status_pb.js";
import { type UserState, UserStateSchema } from "../../gen/presence/v1/presence_pb.js";
import { trailerOf } from "./calls.js";

/** A refusal as any client can read it from the status and its details (S22). */
export interface Refusal {
  /** The name of the gRPC status code. */
  readonly code: string;
  readonly message: string;
  readonly info: ErrorInfo | undefined;
  /** `ErrorInfo.reason`. */
  readonly reason: string | undefined;
  readonly violations: BadRequest["fieldViolations"];
  /** `RetryInfo.retry_delay`, in seconds. */
  readonly retryDelay: number | undefined;
  readonly currentState: UserState | undefined;
}

/** Waits for a call to be refused, and says how. Rejects if it is not. */
export async function refusalOf(call: Promise<unknown>): Promise<Refusal> {
  let result: unknown;
  try {
    result = await call;
  } catch (error) {
    if (error instanceof ClientError) return readRefusal(error);
    throw error;
  }
  throw new Error(`the call was not refused but gave ${String(result)}`);
}

function readRefusal(error: ClientError): Refusal {
  const bytes = trailerOf(error)?.get("grpc-status-details-bin");
  const details = bytes ? fromBinary(StatusSchema, bytes as Uint8Array).details : [];
  const find = <T>(unpack: (any: Any) => T | undefined): T | undefined => details.map(unpack).find((found) => found);
  const info = find((any) => anyUnpack(any, ErrorInfoSchema));
  const retry = find((any) => anyUnpack(any, RetryInfoSchema))?.retryDelay;
  return {
    code: Status[error.code],
    message: error.details,
    info,
    reason: info?.reason,
    violations: find((any) => anyUnpack(any, BadRequestSchema))?.fieldViolations ?? [],
    retryDelay: retry && Number(retry.seconds) + retry.nanos / 1e9,
    currentState: find((any) => anyUnpack(any, UserStateSchema)),
  };
}
