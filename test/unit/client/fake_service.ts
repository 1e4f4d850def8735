import { EventEmitter, once } from "node:events";
import type { Message, MessageInitShape, MessageShape } from "@bufbuild/protobuf";
import { create, toBinary } from "@bufbuild/protobuf";
import type { Any } from "@bufbuild/protobuf/wkt";
import { anyPack, timestampFromDate } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import { ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { StatusSchema } from "../../../gen/google/rpc/status_pb.js";
import { ChannelType, type PresenceEventSchema } from "../../../gen/presence/v1/presence_pb.js";
import {
  PresenceService,
  type SubscribePresenceRequestSchema,
  SubscribePresenceResponseSchema,
} from "../../../gen/presence/v1/presence_service_pb.js";
import { serviceDefinitionOf } from "../../../src/client/service_definition.js";

/** The fields of an event, as a test writes them. */
export type EventInit = Omit<Exclude<MessageInitShape<typeof PresenceEventSchema>, Message>, "$typeName">;
type Methods = (typeof PresenceService)["method"];
type SubscribeCall = grpc.ServerWritableStream<MessageShape<typeof SubscribePresenceRequestSchema>, unknown>;
type UnaryName = Exclude<keyof Methods, "subscribePresence" | "watchChannels">;

/** What a test lets a unary call answer: a response, or a thrown grpc status. */
export type Handlers = {
  [Name in UnaryName]?: (
    request: MessageShape<Methods[Name]["input"]>,
    call: grpc.ServerUnaryCall<unknown, unknown>,
  ) => MessageInitShape<Methods[Name]["output"]> | Promise<MessageInitShape<Methods[Name]["output"]>>;
};

/** A gRPC status with google.rpc details, to be thrown by a handler or sent by a stream. */
export function refusal(code: grpc.status, message: string, details: Any[] = []): Partial<grpc.StatusObject> {
  const metadata = new grpc.Metadata();
  const bytes = toBinary(StatusSchema, create(StatusSchema, { code, message, details }));
  metadata.set("grpc-status-details-bin", Buffer.from(bytes));
  return { code, details: message, metadata };
}

/** The detail of a refusal that names its reason. */
export function reasonDetail(reason: string): Any {
  return anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason, domain: "presence.v1" }));
}

/** One SubscribePresence call, as the service sees it. */
export class FakeStream {
  readonly request: MessageShape<typeof SubscribePresenceRequestSchema>;
  readonly metadata: grpc.Metadata;
  /** Resolves when the client cancelled, or its connection went. */
  readonly cancelled: Promise<unknown>;
  readonly #call: SubscribeCall;

  constructor(call: SubscribeCall) {
    this.#call = call;
    this.request = call.request;
    this.metadata = call.metadata;
    this.cancelled = new Promise((resolve) => call.on("cancelled", resolve));
  }

  /** Sends events in one message; false when the client does not read as fast. */
  send(...events: EventInit[]): boolean {
    return this.#call.write(create(SubscribePresenceResponseSchema, { events }));
  }

  /** Resolves when what was written is on its way. */
  drained(): Promise<unknown> {
    return once(this.#call, "drain");
  }

  fail(status: Partial<grpc.StatusObject>): void {
    this.#call.emit("error", status);
  }

  end(): void {
    this.#call.end();
  }
}

/** A PresenceService on a real socket that does as the test says. */
export class FakeService {
  readonly handlers: Handlers = {};
  /** The name of each call that came in, in their order. */
  readonly received: string[] = [];
  /** Where clients came from, one entry per connection. */
  readonly peers = new Set<string>();
  address = "";
  readonly #server = new grpc.Server();
  readonly #arrivals = new EventEmitter();
  readonly #streams: FakeStream[] = [];

  /** Listens on a free port of the loopback. */
  static async start(): Promise<FakeService> {
    const service = new FakeService();
    await service.#listen();
    return service;
  }

  /** The next subscription, or feed, that a client opens, or opened and nobody took yet. */
  async nextStream(): Promise<FakeStream> {
    if (this.#streams.length === 0) await once(this.#arrivals, "stream");
    return this.#streams.shift()!;
  }

  stop(): void {
    this.#server.forceShutdown();
  }

  async #listen(): Promise<void> {
    const definition = serviceDefinitionOf(PresenceService);
    const implementation: grpc.UntypedServiceImplementation = {};
    const service: Record<string, grpc.MethodDefinition<unknown, unknown>> = {};
    for (const [name, method] of Object.entries(definition)) {
      service[name] = {
        ...(method as unknown as grpc.MethodDefinition<unknown, unknown>),
        responseSerialize: (value) => Buffer.from(method.responseSerialize(value as never)),
      };
      const subscribe = (call: SubscribeCall) => this.#subscribe(name, call);
      const answer: grpc.handleUnaryCall<never, unknown> = (call, callback) => {
        void this.#answer(name as UnaryName, call, callback);
      };
      implementation[name] = (method.responseStream ? subscribe : answer) as grpc.UntypedHandleCall;
    }
    this.#server.addService(service, implementation);
    const port = await new Promise<number>((resolve, reject) => {
      this.#server.bindAsync("127.0.0.1:0", grpc.ServerCredentials.createInsecure(), (error, bound) =>
        error ? reject(error) : resolve(bound),
      );
    });
    this.address = `127.0.0.1:${port}`;
  }

  #subscribe(name: string, call: SubscribeCall): void {
    this.received.push(name);
    this.peers.add(call.getPeer());
    this.#streams.push(new FakeStream(call));
    this.#arrivals.emit("stream");
  }

  async #answer(
    name: UnaryName,
    call: grpc.ServerUnaryCall<never, unknown>,
    callback: grpc.sendUnaryData<unknown>,
  ): Promise<void> {
    this.received.push(name);
    this.peers.add(call.getPeer());
    const handler = this.handlers[name];
    if (!handler) return callback({ code: grpc.status.UNIMPLEMENTED, details: `the test has no ${name}` });
    try {
      callback(null, await handler(call.request, call));
    } catch (error) {
      callback(error as grpc.ServiceError);
    }
  }
}

/** The time that all events of a test bear. */
export const NOON = new Date("2026-01-02T12:00:00Z");

const EPOCH = "e1";

/** A position in the tests' one epoch. */
export function at(revision: number, epoch = EPOCH): { epoch: string; revision: bigint } {
  return { epoch, revision: BigInt(revision) };
}

/** A state message. */
export function user(userId: string, states: Record<string, string> = {}, revision = 0) {
  const joinTime = timestampFromDate(NOON);
  const updateTime = revision === 0 ? undefined : timestampFromDate(NOON);
  return { userId, states, revision: BigInt(revision), joinTime, updateTime };
}

/** An event message at a revision of the tests' one channel. */
export function event(revision: number, fields: EventInit): EventInit {
  const channel = { type: ChannelType.MESSAGE, name: "chat_room" };
  return { channel, position: at(revision), time: timestampFromDate(NOON), ...fields };
}

/** SUBSCRIBED, with the terms of the tests. */
export function subscribed(revision = 1, { sessionId = "session-1", resumed = false } = {}): EventInit {
  const value = { sessionId, presenceTimeout: { seconds: 30n, nanos: 0 }, resumed, occupancy: 1 };
  return event(revision, { event: { case: "subscribed", value } });
}

/** A snapshot, or a chunk of one. */
export function snapshot(revision: number, users: ReturnType<typeof user>[], last = true): EventInit {
  return event(revision, { event: { case: "snapshot", value: { users, last, occupancy: users.length } } });
}

/** REMOTE_JOIN of a user. */
export function join(revision: number, userId: string): EventInit {
  return event(revision, { userId, event: { case: "remoteJoin", value: { occupancy: 2 } } });
}

/** REMOTE_LEAVE of a user. */
export function leave(revision: number, userId: string): EventInit {
  return event(revision, { userId, event: { case: "remoteLeave", value: { occupancy: 1 } } });
}

/** REMOTE_STATE_CHANGED of a user, who has the whole of `states` now. */
export function changed(revision: number, userId: string, states: Record<string, string>): EventInit {
  const value = { state: user(userId, states, revision), changedKeys: Object.keys(states).sort(), removedKeys: [] };
  return event(revision, { userId, event: { case: "remoteStateChanged", value } });
}
