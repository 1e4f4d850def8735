import {
  type handleServerStreamingCall,
  type handleUnaryCall,
  Server,
  ServerCredentials,
  type ServerWritableStream,
  type ServiceDefinition,
} from "@grpc/grpc-js";
import { PATH } from "../load/calls.js";
import type { Running } from "./child.js";

/** How one of the grpc-js baselines turns requests and events into bytes. `T` is what it hands to `call.write`. */
export interface Style<T> {
  serialize(message: T): Buffer;
  /** A stream has opened. */
  subscribe(request: Buffer, call: ServerWritableStream<Buffer, T>): void;
  /** A change was asked for. */
  change(request: Buffer): void;
}

/** Starts a plain grpc-js server with the calls that every baseline has. Requests come as bytes. */
export async function startGrpcBaseline<T>(style: Style<T>): Promise<Running> {
  const identity = (bytes: Buffer) => bytes;
  const unary = {
    requestStream: false,
    responseStream: false,
    requestSerialize: identity,
    responseSerialize: identity,
  };
  const codec = { requestDeserialize: identity, responseDeserialize: identity };
  const definition: ServiceDefinition = {
    setState: { path: PATH.setState, ...unary, ...codec },
    nothing: { path: PATH.nothing, ...unary, ...codec },
    subscribe: {
      path: PATH.subscribe,
      requestStream: false,
      responseStream: true,
      requestSerialize: identity,
      responseSerialize: style.serialize,
      ...codec,
    },
  };
  const setState: handleUnaryCall<Buffer, Buffer> = (call, callback) => {
    callback(null, EMPTY);
    style.change(call.request);
  };
  const nothing: handleUnaryCall<Buffer, Buffer> = (_, callback) => callback(null, EMPTY);
  const subscribe: handleServerStreamingCall<Buffer, T> = (call) => style.subscribe(call.request, call);
  const server = new Server();
  server.addService(definition, { setState, nothing, subscribe });
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync("127.0.0.1:0", ServerCredentials.createInsecure(), (error, bound) =>
      error ? reject(error) : resolve(bound),
    );
  });
  return { address: `127.0.0.1:${port}`, close: () => server.forceShutdown() };
}

const EMPTY = Buffer.alloc(0);

/** The streams that read a channel, and the channel's events. */
export class Rooms<R, E> {
  readonly #rooms = new Map<string, { events: E; readers: Set<R> }>();

  constructor(private readonly makeEvents: (channel: string) => E) {}

  /** The room of a channel, made when it is first asked for. */
  of(channel: string): { events: E; readers: Set<R> } {
    let room = this.#rooms.get(channel);
    if (room === undefined) {
      room = { events: this.makeEvents(channel), readers: new Set() };
      this.#rooms.set(channel, room);
    }
    return room;
  }
}
