import { type DescFile, toBinary } from "@bufbuild/protobuf";
import { FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import type { Server } from "@grpc/grpc-js";
import { ReflectionService } from "@grpc/reflection";
import { file_google_rpc_error_details } from "../../gen/google/rpc/error_details_pb.js";
import { file_google_rpc_status } from "../../gen/google/rpc/status_pb.js";
import { file_presence_v1_error_reason } from "../../gen/presence/v1/error_reason_pb.js";
import { file_presence_v1_presence_service } from "../../gen/presence/v1/presence_service_pb.js";

/** What tools may ask for: the service, and the types that its error details are made of. */
const ROOTS = [
  file_presence_v1_presence_service,
  file_presence_v1_error_reason,
  file_google_rpc_status,
  file_google_rpc_error_details,
];

/** Adds `grpc.reflection.v1` and `v1alpha`, so that tools need no proto files. */
export function addReflection(server: Server): void {
  const files = new Map<string, DescFile>();
  for (const root of ROOTS) collect(root, files);
  const fileDescriptorProtos = [...files.values()].map(({ proto }) =>
    Buffer.from(toBinary(FileDescriptorProtoSchema, proto)),
  );
  type Definitions = ConstructorParameters<typeof ReflectionService>[0];
  // The library reads nothing of a package definition but these; what else its type wants describes one message.
  const definitions = { contract: { fileDescriptorProtos } } as unknown as Definitions;
  new ReflectionService(definitions).addToServer(server);
}

function collect(file: DescFile, into: Map<string, DescFile>): void {
  if (into.has(file.name)) return;
  into.set(file.name, file);
  for (const dependency of file.dependencies) collect(dependency, into);
}
