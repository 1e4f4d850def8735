import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  type ServerWritableStream,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import {
  HealthCheckRequestSchema,
  HealthCheckResponse_ServingStatus,
  HealthCheckResponseSchema,
  HealthListResponseSchema,
} from "../../gen/grpc/health/v1/health_pb.js";
import { OpenStreams } from "./open_streams.js";
import { decodeSmall } from "./small_requests.js";
import { serviceError } from "./status.js";
import type { UnreadAnswers } from "./unread_answers.js";

const { SERVING, NOT_SERVING, SERVICE_UNKNOWN } = HealthCheckResponse_ServingStatus;

/** A probe needs one stream per service name. */
const STREAMS = { method: "Health/Watch", perConnection: 50, inAll: 2000 };

type Watch = ServerWritableStream<Buffer, Buffer>;

/**
 * `grpc.health.v1.Health` for a fixed set of names that share one status: SERVING until `stopServing`. Callers need no
 * token, so nothing is stored for them except open streams, and those are bounded.
 */
export class Health {
  readonly #names: ReadonlySet<string>;
  readonly #streams = new OpenStreams(STREAMS);
  /** The open watches, each with whether its name is known. */
  readonly #watches = new Map<Watch, boolean>();
  #status = SERVING;

  /** `names`: what can be asked for; `""` stands for the whole server. */
  constructor(
    names: Iterable<string>,
    private readonly unread: UnreadAnswers,
  ) {
    this.#names = new Set(names);
  }

  /** The handlers for grpc-js. */
  handlers(): UntypedServiceImplementation {
    const { unread } = this;
    return { check: unread.watching(this.#check), list: unread.watching(this.#list), watch: this.#watch };
  }

  /** Reports NOT_SERVING from now on, to open watches too. */
  stopServing(): void {
    if (this.#status === NOT_SERVING) return;
    this.#status = NOT_SERVING;
    for (const [call, isKnown] of this.#watches) if (isKnown) call.write(encode(NOT_SERVING));
  }

  /** Ends the open watches with UNAVAILABLE, after what was written to them. */
  close(): void {
    const error = serviceError(status.UNAVAILABLE, "the server is shutting down");
    for (const call of this.#watches.keys()) call.emit("error", error);
  }

  readonly #check: handleUnaryCall<Buffer, Buffer> = (call, callback) => {
    const request = decodeSmall(HealthCheckRequestSchema, call.request);
    if (request.error) {
      callback(request.error);
    } else if (this.#names.has(request.message.service)) {
      callback(null, encode(this.#status));
    } else {
      const known = [...this.#names].map((name) => `"${name}"`).join(", ");
      callback(serviceError(status.NOT_FOUND, `service: unknown name; known are ${known}`));
    }
  };

  readonly #list: handleUnaryCall<Buffer, Buffer> = (_, callback) => {
    const statuses = Object.fromEntries([...this.#names].map((name) => [name, { status: this.#status }]));
    const init: MessageInitShape<typeof HealthListResponseSchema> = { statuses };
    callback(null, Buffer.from(toBinary(HealthListResponseSchema, create(HealthListResponseSchema, init))));
  };

  readonly #watch: handleServerStreamingCall<Buffer, Buffer> = (call) => {
    const request = decodeSmall(HealthCheckRequestSchema, call.request);
    if (request.error) {
      call.emit("error", request.error);
      return;
    }
    if (!this.#streams.admit(call)) return;
    const isKnown = this.#names.has(request.message.service);
    this.#watches.set(call, isKnown);
    call.once("cancelled", () => this.#watches.delete(call));
    call.write(encode(isKnown ? this.#status : SERVICE_UNKNOWN));
  };
}

function encode(servingStatus: HealthCheckResponse_ServingStatus): Buffer {
  return Buffer.from(toBinary(HealthCheckResponseSchema, create(HealthCheckResponseSchema, { status: servingStatus })));
}
