import {
  create,
  type DescMethod,
  type DescMethodServerStreaming,
  type DescMethodUnary,
  fromBinary,
  type Message,
  toBinary,
} from "@bufbuild/protobuf";
import { Code, ConnectError } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";
import { Client, credentials, Metadata, type ServiceError, status } from "@grpc/grpc-js";
import { ClientError, createChannel, createClientFactory, Metadata as NiceMetadata } from "nice-grpc";
import { StatusSchema } from "../../../gen/google/rpc/status_pb.js";
import { PresenceService } from "../../../gen/presence/v1/presence_service_pb.js";
import { serviceDefinitionOf } from "../../../src/client/service_definition.js";

/** A call that did not end with OK. */
export class Failure extends Error {
  constructor(
    /** The code's name, as gRPC spells it. */
    readonly code: string,
    /** What `grpc-status-details-bin` holds. */
    readonly details: readonly { readonly typeUrl: string; readonly value: Uint8Array }[],
  ) {
    super(code);
  }
}

/** One way to make gRPC calls from TypeScript. */
export interface Transport {
  unary(method: DescMethod, request: Message, user: string | undefined): Promise<Message>;
  stream(method: DescMethod, request: Message, user: string | undefined, signal: AbortSignal): AsyncIterable<Message>;
  close(): void;
}

const DETAILS = "grpc-status-details-bin";

function failure(code: string, bytes: unknown): Failure {
  return new Failure(code, bytes instanceof Uint8Array ? fromBinary(StatusSchema, bytes).details : []);
}

function grpcJs(address: string): Transport {
  const client = new Client(address, credentials.createInsecure());
  const metadata = (user: string | undefined) => Metadata.fromHttp2Headers(user ? { "x-user-id": user } : {});
  const codec = (method: DescMethod) =>
    [
      `/${method.parent.typeName}/${method.name}`,
      (message: Message) => Buffer.from(toBinary(method.input, message)),
      (bytes: Buffer) => fromBinary(method.output, bytes),
    ] as const;
  const failed = (error: ServiceError) => failure(status[error.code]!, error.metadata?.get(DETAILS)[0]);
  return {
    unary: (method, request, user) =>
      new Promise((resolve, reject) => {
        client.makeUnaryRequest(...codec(method), request, metadata(user), (error, answer) =>
          error ? reject(failed(error)) : resolve(answer!),
        );
      }),
    async *stream(method, request, user, signal) {
      const call = client.makeServerStreamRequest(...codec(method), request, metadata(user));
      signal.addEventListener("abort", () => call.cancel());
      try {
        yield* call;
      } catch (error) {
        throw failed(error as ServiceError);
      }
    },
    close: () => client.close(),
  };
}

function niceGrpc(address: string): Transport {
  const channel = createChannel(address);
  type Call = (request: unknown, options: object) => unknown;
  const client = createClientFactory().create(serviceDefinitionOf(PresenceService), channel) as unknown as Record<
    string,
    Call
  >;
  const failing = async <T>(run: (onTrailer: (trailer: NiceMetadata) => void) => Promise<T>): Promise<T> => {
    let trailers: NiceMetadata | undefined;
    try {
      return await run((trailer) => {
        trailers = trailer;
      });
    } catch (error) {
      if (error instanceof ClientError) throw failure(status[error.code]!, trailers?.get(DETAILS));
      throw new Failure("CANCELLED", []);
    }
  };
  const options = (user: string | undefined, rest: object) => ({
    metadata: NiceMetadata(user ? { "x-user-id": user } : {}),
    ...rest,
  });
  return {
    unary: (method, request, user) =>
      failing((onTrailer) => client[method.localName]!(request, options(user, { onTrailer })) as Promise<Message>),
    async *stream(method, request, user, signal) {
      let trailers: NiceMetadata | undefined;
      const onTrailer = (trailer: NiceMetadata): void => {
        trailers = trailer;
      };
      try {
        yield* client[method.localName]!(request, options(user, { onTrailer, signal })) as AsyncIterable<Message>;
      } catch (error) {
        if (error instanceof ClientError) throw failure(status[error.code]!, trailers?.get(DETAILS));
        throw new Failure("CANCELLED", []);
      }
    },
    close: () => channel.close(),
  };
}

function connectEs(address: string): Transport {
  const sessionManager = new Http2SessionManager(`http://${address}`);
  const transport = createGrpcTransport({ baseUrl: `http://${address}`, sessionManager });
  const header = (user: string | undefined) => (user ? { "x-user-id": user } : {});
  const failed = (thrown: unknown): Failure => {
    const error = ConnectError.from(thrown);
    const code = Code[error.code]!.replace(/(?<=[a-z])(?=[A-Z])/g, "_").toUpperCase();
    const details = error.details.flatMap((detail) =>
      "type" in detail ? [{ typeUrl: detail.type, value: detail.value }] : [],
    );
    return new Failure(code === "CANCELED" ? "CANCELLED" : code, details);
  };
  return {
    async unary(method, request, user) {
      try {
        return (await transport.unary(method as DescMethodUnary, undefined, undefined, header(user), request)).message;
      } catch (error) {
        throw failed(error);
      }
    },
    async *stream(method, request, user, signal) {
      const input = (async function* () {
        yield create(method.input, request);
      })();
      try {
        const streaming = method as DescMethodServerStreaming;
        yield* (await transport.stream(streaming, signal, undefined, header(user), input)).message;
      } catch (error) {
        throw failed(error);
      }
    },
    close: () => sessionManager.abort(),
  };
}

/** The transports by name. */
export const TRANSPORTS: Readonly<Record<string, (address: string) => Transport>> = {
  "grpc-js": grpcJs,
  "nice-grpc": niceGrpc,
  connect: connectEs,
};
