import { readdirSync, readFileSync } from "node:fs";
import { createFileRegistry, type DescService, type FileRegistry, fromBinary } from "@bufbuild/protobuf";
import type { GenService } from "@bufbuild/protobuf/codegenv2";
import { type FileDescriptorSet, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { createChannel, createClientFactory } from "nice-grpc";
import type { PresenceService } from "../../gen/presence/v1/presence_service_pb.js";
import { serviceDefinitionOf } from "../../src/client/service_definition.js";

const FOLDER = new URL("../../proto/released/", import.meta.url);

/** The released contracts, as paths from the repository's root that buf takes as images; the oldest first. */
export const RELEASED: readonly string[] = readdirSync(FOLDER)
  .filter((name) => /^v\d+\.\d+\.\d+\.binpb$/.test(name))
  .sort((a, b) => a.localeCompare(b, "en", { numeric: true }))
  .map((name) => `proto/released/${name}`);

/** The descriptors of a released contract, to be changed at will. */
export function released(image: string = RELEASED[0]!): FileDescriptorSet {
  return fromBinary(FileDescriptorSetSchema, readFileSync(new URL(`../../${image}`, import.meta.url)));
}

/**
 * A client made from a contract's descriptors alone, as a generator would make it from the `.proto` files of that time.
 * Its types are today's, which only the compiler knows. Close `channel` at the end.
 */
export function clientOf(contract: FileDescriptorSet, address: string, options: Record<string, number> = {}) {
  const registry: FileRegistry = createFileRegistry(contract);
  const service = registry.getService("presence.v1.PresenceService") as DescService as typeof PresenceService;
  const channel = createChannel(address, undefined, { "grpc.use_local_subchannel_pool": 1, ...options });
  const definition = serviceDefinitionOf(service as GenService<(typeof PresenceService)["method"]>);
  return { client: createClientFactory().create(definition, channel), channel, registry };
}
