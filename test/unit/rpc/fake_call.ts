import { EventEmitter } from "node:events";
import { create, type DescMessage, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { anyUnpack } from "@bufbuild/protobuf/wkt";
import { type handleServerStreamingCall, type handleUnaryCall, Metadata, type ServiceError } from "@grpc/grpc-js";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../../gen/google/rpc/status_pb.js";

/** What grpc-js gives a handler of a call, as far as handlers look at it. */
export class FakeCall extends EventEmitter {
  readonly metadata = new Metadata();
  readonly request: Buffer;
  /** When the call's time is over, ms since 1970. */
  deadline: Date | number = Number.POSITIVE_INFINITY;
  readonly written: Buffer[] = [];
  writableLength = 0;
  /** The server ended it, with OK. */
  ended = false;
  readonly errors: ServiceError[] = [];
  readonly #callbacks: (() => void)[] = [];

  constructor(request: Uint8Array, userId?: string) {
    super();
    this.request = Buffer.from(request);
    if (userId !== undefined) this.metadata.set("x-user-id", userId);
    this.on("error", (error: ServiceError) => this.errors.push(error));
  }

  getPeer(): string {
    return "127.0.0.1:1234";
  }

  getDeadline(): Date | number {
    return this.deadline;
  }

  write(message: Buffer, callback?: () => void): boolean {
    this.written.push(message);
    this.writableLength += 1;
    if (callback) this.#callbacks.push(callback);
    return this.writableLength < 16;
  }

  end(): void {
    this.ended = true;
  }

  /** The client takes everything that was written. */
  read(): void {
    this.writableLength = 0;
    for (const callback of this.#callbacks.splice(0)) callback();
  }
}

/** Calls a unary handler; gives its answer, or rejects with its error. */
export function callUnary<In extends DescMessage, Out extends DescMessage>(
  handler: unknown,
  { input, output }: { readonly input: In; readonly output: Out },
  init: MessageInitShape<In> | Uint8Array,
  userId?: string,
) {
  const bytes = init instanceof Uint8Array ? init : toBinary(input, create(input, init));
  const call = new FakeCall(bytes, userId) as unknown as Parameters<handleUnaryCall<Buffer, Buffer>>[0];
  return new Promise<ReturnType<typeof fromBinary<Out>>>((resolve, reject) => {
    (handler as handleUnaryCall<Buffer, Buffer>)(call, (error, response) => {
      if (error) reject(error);
      else resolve(fromBinary(output, response!));
    });
  });
}

/** Calls a server-streaming handler. */
export function callStream(handler: unknown, call: FakeCall): Promise<void> {
  const streaming = handler as (...args: Parameters<handleServerStreamingCall<Buffer, Buffer>>) => Promise<void>;
  return streaming(call as unknown as Parameters<handleServerStreamingCall<Buffer, Buffer>>[0]);
}

/** The reason that an error carries in its details. */
export function reasonOf(error: ServiceError): string | undefined {
  const [bytes] = error.metadata.get("grpc-status-details-bin");
  const [info] = fromBinary(StatusSchema, bytes as Buffer).details;
  return info && anyUnpack(info, ErrorInfoSchema)?.reason;
}
