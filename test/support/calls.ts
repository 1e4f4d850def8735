import type { ChannelCredentials } from "@grpc/grpc-js";
import { ClientError, type ClientMiddleware, createChannel, createClientFactory, Metadata } from "nice-grpc";
import { ChannelType } from "../../gen/presence/v1/presence_pb.js";
import { PresenceService } from "../../gen/presence/v1/presence_service_pb.js";
import { serviceDefinitionOf } from "../../src/client/service_definition.js";

const definition = serviceDefinitionOf(PresenceService);

/** The plain generated client: what a team without our client library has. */
export type GeneratedClient = ReturnType<typeof connect>["client"];

const trailers = new WeakMap<ClientError, Metadata>();

/** The trailing metadata that came with an error. */
export function trailerOf(error: ClientError): Metadata | undefined {
  return trailers.get(error);
}

const keepTrailer: ClientMiddleware = async function* (call, options) {
  let trailer: Metadata | undefined;
  try {
    return yield* call.next(call.request, {
      ...options,
      onTrailer: (received) => {
        trailer = received;
      },
    });
  } catch (error) {
    if (error instanceof ClientError && trailer) trailers.set(error, trailer);
    throw error;
  }
};

/** How a connection shows who it is. */
export interface Showing {
  readonly token?: string;
  readonly credentials?: ChannelCredentials;
}

/**
 * Opens a connection of its own to a server, with or without a name in the metadata; with credentials by name, as TLS
 * has no room for an IP address. Close `channel` at the end.
 */
export function connect(address: string, userId?: string, { token, credentials }: Showing = {}) {
  const where = credentials ? address.replace("127.0.0.1", "localhost") : address;
  const channel = createChannel(where, credentials, { "grpc.use_local_subchannel_pool": 1 });
  const metadata = Metadata();
  if (userId !== undefined) metadata.set("x-user-id", userId);
  if (token !== undefined) metadata.set("authorization", `Bearer ${token}`);
  const client = createClientFactory().use(keepTrailer).create(definition, channel, { "*": { metadata } });
  return { client, channel };
}

/** A channel of type MESSAGE. */
export function message(name: string): { type: ChannelType; name: string } {
  return { type: ChannelType.MESSAGE, name };
}

/** A channel of type STREAM. */
export function stream(name: string): { type: ChannelType; name: string } {
  return { type: ChannelType.STREAM, name };
}
