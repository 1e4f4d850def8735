import type { ServerHttp2Stream } from "node:http2";
import { Server } from "@grpc/grpc-js";
import { Health as HealthDesc } from "../../gen/grpc/health/v1/health_pb.js";
import { ServerReflection as ReflectionV1Desc } from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ReflectionV1AlphaDesc } from "../../gen/grpc/reflection/v1alpha/reflection_pb.js";
import { PresenceService as PresenceServiceDesc } from "../../gen/presence/v1/presence_service_pb.js";
import type { Heartbeats } from "../fanout/heartbeats.js";
import type { Authenticate } from "../service/caller.js";
import type { PresenceService } from "../service/presence_service.js";
import type { Clock } from "../time/clock.js";
import { CancelledStreams } from "./cancelled_streams.js";
import { CompressedRequests } from "./compressed_requests.js";
import { Connections, type ListenAddress, type TlsOptions } from "./connections.js";
import { type HandlersOptions, presenceHandlers } from "./handlers.js";
import { Health } from "./health.js";
import { Reflection } from "./reflection.js";
import { bytesServiceDefinition } from "./service_definition.js";
import { smallRequests } from "./small_requests.js";
import type { TlsMaterial } from "./tls.js";
import type { Internal } from "./transport_internals.js";
import { UnfinishedRequests } from "./unfinished_requests.js";
import { UnpaidCalls } from "./unpaid_calls.js";
import { UnreadAnswers } from "./unread_answers.js";

/** Settings of the gRPC side. */
export interface GrpcServerOptions {
  readonly service: PresenceService;
  readonly heartbeats: Heartbeats;
  readonly clock: Clock;
  /** Finds out who calls. Health and reflection ask nobody. */
  readonly authenticate: Authenticate;
  /** Undefined: connections are plain text. */
  readonly tls: TlsOptions | undefined;
  /** Time between HTTP/2 pings to each client, in ms (S5). Default 10000. */
  readonly keepaliveMs: number;
  /** How long a client may take to answer one, in ms (S5). Default 5000. */
  readonly keepaliveTimeoutMs: number;
  /** The largest request message, in bytes, after decompression (S21). Default 65536. */
  readonly maxRequestBytes: number;
  /** The same for BatchJoinChannel and BatchSetState, where it is the larger. Default 1048576. */
  readonly maxBatchBytes: number;
  /** Connections from one IP address; 0: any number. Default 0. */
  readonly maxConnectionsPerAddress: number;
  /** Calls and streams open at once on one connection. Default 2000. */
  readonly maxStreamsPerConnection: number;
  /** How long a request may take to arrive, in ms. Default 10000. */
  readonly requestTimeoutMs: number;
  /** Bytes of all requests together that have not arrived whole. Default 64 MiB. */
  readonly maxUnfinishedBytes: number;
  /** How long a client may take to read the answer of a call or the end of a stream, in ms. Default 60000. */
  readonly laggingTimeoutMs: number;
  /** Bytes of all such answers and ends together that are not read. Default 64 MiB. */
  readonly maxUnreadBytes: number;
  /** Parts of the transport that `probeTransport` did not find; what depends on them is off. */
  readonly missing: ReadonlySet<Internal>;
  /** Whether reflection is served. Default true. */
  readonly reflection: boolean;
  readonly onError: HandlersOptions["onError"];
  readonly onCall: HandlersOptions["onCall"];
}

/** What the paths of calls begin with that are refused without a user. */
const PRESENCE_PATH = `/${PresenceServiceDesc.typeName}/`;

/** What the metrics call a request that was ended before it was whole: no ErrorReason, for nobody has read it. */
const UNFINISHED = "UNFINISHED";

/** Many tools still ask for v1alpha. */
const REFLECTION = [ReflectionV1Desc, ReflectionV1AlphaDesc];

/** The services that need no token. */
const STANDARD_SERVICES = [HealthDesc, ...REFLECTION];

/** PresenceService, health and reflection on one port. */
export class GrpcServer {
  readonly #server: Server;
  readonly #health: Health;
  readonly #reflection: Reflection | undefined;
  readonly #connections: Connections;
  readonly #cancelled: CancelledStreams;
  readonly #unfinished: UnfinishedRequests;
  readonly #unread: UnreadAnswers;
  readonly #unpaidCalls: UnpaidCalls;

  constructor(private readonly options: GrpcServerOptions) {
    const maxBatchBytes = Math.max(options.maxBatchBytes, options.maxRequestBytes);
    this.#unfinished = new UnfinishedRequests({
      clock: options.clock,
      timeoutMs: options.requestTimeoutMs,
      maxBytes: options.maxUnfinishedBytes,
      onCut: (method) => options.onCall?.(method, UNFINISHED, options.requestTimeoutMs / 1000),
    });
    this.#unread = new UnreadAnswers({
      clock: options.clock,
      timeoutMs: options.laggingTimeoutMs,
      maxBytes: options.maxUnreadBytes,
    });
    this.#health = new Health(["", PresenceServiceDesc.typeName], this.#unread);
    this.#unpaidCalls = new UnpaidCalls({
      clock: options.clock,
      maxWaitingBytes: options.maxUnfinishedBytes / 4,
      maxStreams: options.maxStreamsPerConnection,
      schedule: setImmediate,
    });
    const compressed = new CompressedRequests();
    this.#server = new Server({
      interceptors: [smallRequests(STANDARD_SERVICES), this.#unfinished.interceptor, compressed.interceptor],
      "grpc.max_concurrent_streams": options.maxStreamsPerConnection,
      "grpc.keepalive_time_ms": options.keepaliveMs,
      "grpc.keepalive_timeout_ms": options.keepaliveTimeoutMs,
      "grpc.max_receive_message_length": maxBatchBytes,
      "grpc.max_send_message_length": -1,
      "grpc.enable_channelz": 0,
    });
    this.#connections = new Connections(this.#server, {
      clock: options.clock,
      maxPerAddress: options.maxConnectionsPerAddress,
      maxStreams: options.maxStreamsPerConnection,
      onCall: (stream, path, begin) => this.#onCall(stream, path, begin),
      tls: options.tls,
    });
    this.#cancelled = new CancelledStreams({ clock: options.clock, afterReading: setImmediate });
    this.#server.addService(
      bytesServiceDefinition(PresenceServiceDesc),
      presenceHandlers({
        ...options,
        maxBatchBytes,
        connections: this.#connections,
        cancelled: this.#cancelled,
        unread: this.#unread,
        unpaidCalls: this.#unpaidCalls,
      }),
    );
    this.#server.addService(bytesServiceDefinition(HealthDesc), this.#health.handlers());
    if (options.reflection) {
      this.#reflection = new Reflection([PresenceServiceDesc, ...STANDARD_SERVICES].map(({ typeName }) => typeName));
      const handlers = this.#reflection.handlers();
      for (const service of REFLECTION) this.#server.addService(bytesServiceDefinition(service), handlers);
    }
  }

  /** Without the streams of calls it is not known which connections have admitted calls. */
  #onCall(stream: ServerHttp2Stream, path: string | undefined, begin: () => void): void {
    if (this.options.missing.has("call stream")) begin();
    else this.#unpaidCalls.begin(stream, path?.startsWith(PRESENCE_PATH) ?? false, begin);
  }

  /** How many connections are open. */
  get connections(): number {
    return this.#connections.size;
  }

  /** Number of connections refused since the start because their address had too many. */
  get refusedConnections(): number {
    return this.#connections.refused;
  }

  /** Number of calls that are delayed because their connection makes too many that no user pays for. */
  get delayedCalls(): number {
    return this.#unpaidCalls.delayed;
  }

  /** Bytes of answers and ends of streams that clients have not read. */
  get unreadBytes(): number {
    return this.#unread.bytes;
  }

  /** Starts to listen; resolves with the address as it turned out. */
  listen(address: ListenAddress): Promise<ListenAddress> {
    return this.#connections.listen(address);
  }

  /** Shows another certificate to new connections; throws if it is no good, and then the old one stays. */
  renewTls(material: TlsMaterial): void {
    this.#connections.renewTls(material);
  }

  /** Health reports NOT_SERVING from now on; everything else goes on. */
  stopServing(): void {
    this.#health.stopServing();
  }

  /**
   * Goes down (S24): takes no more connections, is no longer healthy, sends streams away, answers the calls in flight,
   * and after `drainMs` cuts what is left. Resolves when no connection is open; `true` if nothing had to be cut.
   */
  async close(drainMs: number): Promise<boolean> {
    this.#connections.stopListening();
    this.stopServing();
    this.#cancelled.drain();
    this.options.service.drain();
    this.#health.close();
    this.#reflection?.close();
    // What it says itself is not to be relied on: from Node 24 on it takes a session that is closing for one that is closed.
    this.#server.tryShutdown(() => {});
    const answered = this.#connections.emptied().then(() => true);
    const timedOut = new Promise<boolean>((resolve) => {
      this.options.clock.setTimer(drainMs, () => resolve(false));
    });
    const clean = await Promise.race([answered, timedOut]);
    this.#server.forceShutdown();
    this.#connections.destroyAll();
    this.#unfinished.close();
    this.#unread.close();
    return clean;
  }
}
