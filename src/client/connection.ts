import { setTimeout as sleep } from "node:timers/promises";
import { type ChannelCredentials, type ChannelOptions, connectivityState, credentials } from "@grpc/grpc-js";
import type { CallOptions, ClientMiddleware, ClientMiddlewareCall } from "nice-grpc";
import { createChannel, createClientFactory, Metadata } from "nice-grpc";
import { PresenceService } from "../../gen/presence/v1/presence_service_pb.js";
import { onAbort } from "./abort.js";
import { closingCredentials } from "./closing_credentials.js";
import { ipCredentials } from "./ip_credentials.js";
import { PresenceError, presenceErrorOf } from "./presence_error.js";
import { serviceDefinitionOf } from "./service_definition.js";
import { sendToken, type TokenSource } from "./token.js";

/** Where and how to reach the service. */
export interface ConnectionOptions {
  /**
   * `host:port`, or a gRPC target such as `dns:///host:port` or
   * `unix:///run/rollcall.sock`. A host alone means port 50051. `https://` in
   * front asks for TLS.
   */
  readonly address: string;
  /** Default: TLS for an `https://` address, else plain text. */
  readonly credentials?: ChannelCredentials;
  /** Laid over this client's own grpc-js channel options; see `DEFAULT_CHANNEL_OPTIONS`. */
  readonly channelOptions?: ChannelOptions;
  /**
   * Shows the server who calls, where it asks for that (S20). With a function, which is called for each call and each
   * opening of a stream, subscriptions outlive their tokens. Whoever reads the connection can use it: give an
   * `https://` address beyond this machine.
   */
  readonly token?: TokenSource;
  /** Sent with every call. ASCII only, as HTTP/2 headers are. */
  readonly metadata?: Readonly<Record<string, string>>;
}

/** The grpc-js channel options that this client sets by itself. */
export const DEFAULT_CHANNEL_OPTIONS: ChannelOptions = {
  // The server's own defaults (S5): a dead server is found within 15 s.
  "grpc.keepalive_time_ms": 10_000,
  "grpc.keepalive_timeout_ms": 5_000,
  // One client, one connection: closing it must not depend on who else in the
  // process talks to the same address.
  "grpc.use_local_subchannel_pool": 1,
  // A server that is back must not wait for clients whose patience has grown to minutes.
  "grpc.initial_reconnect_backoff_ms": 500,
  "grpc.max_reconnect_backoff_ms": 5_000,
  // The largest page of users, 1000 with 16 KiB each, passes grpc-js's 4 MiB.
  "grpc.max_receive_message_length": 32 * 1024 * 1024,
};

const definition = serviceDefinitionOf(PresenceService);

/** How often a connection that failed is looked at, in milliseconds. */
const LOOK_MS = 50;

/** One HTTP/2 connection to the service, which carries all calls and streams. */
export type Connection = ReturnType<typeof connect>;

/** Prepares a connection; it is made with the first call, and again by itself when it was lost. */
export function connect(options: ConnectionOptions) {
  const ip = options.credentials ? undefined : ipCredentials(options.address);
  const given = options.credentials ?? ip?.credentials ?? defaultCredentials(options.address);
  const channel = createChannel(withPort(options.address), closingCredentials(given), {
    ...DEFAULT_CHANNEL_OPTIONS,
    ...ip?.channelOptions,
    ...options.channelOptions,
  });
  let closed = false;
  let openCalls = 0;
  /** Those of `openCalls` that are no streams. */
  let unaryCalls = 0;

  async function* openOnly<Request, Response>(call: ClientMiddlewareCall<Request, Response>, callOptions: CallOptions) {
    if (closed) throw new PresenceError("this presence client is closed", { code: "CANCELLED" });
    // nice-grpc adds a listener to each call's signal: an application's signal must not collect them.
    const { signal } = callOptions;
    signal?.throwIfAborted();
    const own = signal && new AbortController();
    const unfollow = signal && onAbort(signal, () => own?.abort(signal.reason));
    openCalls++;
    if (!call.responseStream) unaryCalls++;
    try {
      return yield* call.next(call.request, { ...callOptions, signal: own?.signal });
    } finally {
      openCalls--;
      unfollow?.();
      if (!call.responseStream) {
        unaryCalls--;
        if (closed && unaryCalls === 0) channel.close();
      }
    }
  }

  /** Whether there is a connection to the server now. */
  const isConnected = (): boolean => channel.getConnectivityState(false) === connectivityState.READY;

  const rpc = createClientFactory()
    .use(openOnly)
    .use(typedErrors)
    .use(options.token === undefined ? asItIs : sendToken(options.token))
    .create(definition, channel, { "*": { metadata: Metadata(options.metadata) } });

  return {
    /** The service's calls, failing with PresenceError or the aborted signal's reason. */
    rpc,
    isConnected,
    /**
     * Resolves when a call would not fail at once for want of a connection. grpc-js makes it anew by itself, and
     * until then fails every call. Rejects when the signal is aborted.
     */
    async usable(signal: AbortSignal): Promise<void> {
      signal.throwIfAborted();
      while (!closed && channel.getConnectivityState(true) === connectivityState.TRANSIENT_FAILURE) {
        await sleep(LOOK_MS, undefined, { signal });
      }
    },
    /**
     * What may keep an open connection from answering a call, for an error message. Calls beyond what the server allows
     * at a time on a connection are queued by HTTP/2, and nothing tells of that.
     */
    describeSilence(): string {
      if (!isConnected()) return "there is no connection to the server";
      return `${openCalls} calls and streams of this client are open on its connection; the server may allow no more at a time`;
    },
    /** Ends the connection once the calls in flight are answered. */
    close(): void {
      closed = true;
      // A call that waits for its connection would fail.
      if (unaryCalls === 0) channel.close();
    },
  };
}

/** Changes nothing. */
const asItIs: ClientMiddleware = (call, options) => call.next(call.request, options);

/** Turns gRPC statuses into PresenceErrors, for calls and streams alike, in this one place. */
const typedErrors: ClientMiddleware = async function* typedErrors(call, options) {
  let trailer: Metadata | undefined;
  const onTrailer = (received: Metadata): void => {
    trailer = received;
    options.onTrailer?.(received);
  };
  try {
    return yield* call.next(call.request, { ...options, onTrailer });
  } catch (error) {
    // What comes out of an aborted call is the abort, as with fetch, whatever
    // gRPC made of it on the way.
    if (options.signal?.aborted) throw options.signal.reason;
    throw presenceErrorOf(error, trailer);
  }
};

function defaultCredentials(address: string): ChannelCredentials {
  return address.startsWith("https://") ? credentials.createSsl() : credentials.createInsecure();
}

function withPort(address: string): string {
  const hostAlone = /^([^:/]+|\[[^\]]+\])$/.test(address);
  return hostAlone ? `${address}:50051` : address;
}
