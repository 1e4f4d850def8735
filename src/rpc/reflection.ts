import { readFileSync } from "node:fs";
import { create, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import {
  type handleBidiStreamingCall,
  type ServerDuplexStream,
  status,
  type UntypedServiceImplementation,
} from "@grpc/grpc-js";
import {
  type ServerReflectionRequest,
  ServerReflectionRequestSchema,
  ServerReflectionResponseSchema,
} from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { DescriptorIndex } from "./descriptor_index.js";
import { OpenStreams } from "./open_streams.js";
import { ReflectionStream } from "./reflection_stream.js";
import { decodeSmall } from "./small_requests.js";
import { serviceError } from "./status.js";

/** What `buf build` makes of `proto/` and `third_party/`; `npm run build` copies it. */
const IMAGE = new URL("../../gen/descriptors.binpb", import.meta.url);

/** A tool needs one stream. */
const STREAMS = { method: "ServerReflectionInfo", perConnection: 10, inAll: 200 };

type Call = ServerDuplexStream<Buffer, Buffer>;
type MessageResponse = NonNullable<MessageInitShape<typeof ServerReflectionResponseSchema>["messageResponse"]>;

/**
 * `grpc.reflection.v1.ServerReflection`, and v1alpha, which is the same on the wire: answers from the descriptors as they
 * were compiled, options and extensions included.
 */
export class Reflection {
  readonly #index = new DescriptorIndex(readFileSync(IMAGE));
  /** By file: the part of a response that holds its descriptors. All streams share these bytes. */
  readonly #descriptors = new Map<string, Uint8Array>();
  readonly #streams = new OpenStreams(STREAMS);
  readonly #open = new Set<Call>();

  /** `services`: the names that `list_services` answers. */
  constructor(private readonly services: readonly string[]) {}

  /** The handlers for grpc-js. */
  handlers(): UntypedServiceImplementation {
    return { serverReflectionInfo: this.#info };
  }

  /** Ends the open streams with UNAVAILABLE. */
  close(): void {
    const error = serviceError(status.UNAVAILABLE, "the server is shutting down");
    for (const call of this.#open) call.emit("error", error);
  }

  readonly #info: handleBidiStreamingCall<Buffer, Buffer> = (call) => {
    const stream = new ReflectionStream(call, (request) => this.#respond(request));
    if (!this.#streams.admit(call)) return;
    this.#open.add(call);
    call.once("cancelled", () => this.#open.delete(call));
    stream.start();
  };

  /** The response in two parts, which a decoder merges: what is of this request, and what many requests share. */
  #respond(bytes: Buffer): readonly Uint8Array[] {
    const { message: request, error } = decodeSmall(ServerReflectionRequestSchema, bytes);
    if (error) throw error;
    const head = encode({ validHost: request.host, originalRequest: request });
    return [head, this.#answer(request)];
  }

  #answer({ messageRequest }: ServerReflectionRequest): Uint8Array {
    const index = this.#index;
    switch (messageRequest.case) {
      case "fileByFilename":
        return this.#file(messageRequest.value, "file");
      case "fileContainingSymbol":
        return this.#file(index.fileOfSymbol(messageRequest.value), "symbol");
      case "fileContainingExtension": {
        const { containingType, extensionNumber } = messageRequest.value;
        return this.#file(index.fileOfExtension(containingType, extensionNumber), "extension");
      }
      case "allExtensionNumbersOfType": {
        const baseTypeName = messageRequest.value;
        if (index.fileOfSymbol(baseTypeName) === undefined) return refusal(status.NOT_FOUND, "type not found");
        const extensionNumber = index.extensionNumbersOf(baseTypeName);
        return answer({ case: "allExtensionNumbersResponse", value: { baseTypeName, extensionNumber } });
      }
      case "listServices": {
        const service = this.services.map((name) => ({ name }));
        return answer({ case: "listServicesResponse", value: { service } });
      }
      default:
        return refusal(status.INVALID_ARGUMENT, "message_request: required");
    }
  }

  #file(name: string | undefined, what: string): Uint8Array {
    const known = name === undefined ? undefined : this.#descriptors.get(name);
    if (known) return known;
    const fileDescriptorProto = name === undefined ? [] : this.#index.descriptorsOf(name);
    if (name === undefined || fileDescriptorProto.length === 0) return refusal(status.NOT_FOUND, `${what} not found`);
    const encoded = answer({ case: "fileDescriptorResponse", value: { fileDescriptorProto } });
    this.#descriptors.set(name, encoded);
    return encoded;
  }
}

function refusal(errorCode: status, errorMessage: string): Uint8Array {
  return answer({ case: "errorResponse", value: { errorCode, errorMessage } });
}

function answer(messageResponse: MessageResponse): Uint8Array {
  return encode({ messageResponse });
}

function encode(init: MessageInitShape<typeof ServerReflectionResponseSchema>): Uint8Array {
  return toBinary(ServerReflectionResponseSchema, create(ServerReflectionResponseSchema, init));
}
