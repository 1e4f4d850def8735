import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type {
  handleServerStreamingCall,
  handleUnaryCall,
  ServerWritableStream,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import * as pb from "../../gen/presence/v1/presence_service_pb.js";
import { PresenceError } from "../model/errors.js";
import { type Caller, callerFromMetadata } from "../service/caller.js";
import type { PresenceService } from "../service/presence_service.js";
import type { StreamEnd } from "../service/subscriber.js";
import { decodeRequest } from "../wire/decode.js";
import { CallSink } from "./call_sink.js";
import type { Connections } from "./connections.js";
import { toServiceError } from "./status.js";

/** What the handlers stand on. */
export interface HandlersOptions {
  readonly service: PresenceService;
  readonly connections: Connections;
  /** A call failed by the server's own fault. */
  readonly onError: (error: unknown, method: string) => void;
  /** A call was answered; `reason` is `OK`, or why it was refused. */
  readonly onCall: (method: string, reason: string, seconds: number) => void;
}

/** The handlers of PresenceService for grpc-js: bytes in, bytes or errors out. */
export function presenceHandlers(options: HandlersOptions): UntypedServiceImplementation {
  const { service } = options;
  const { method } = pb.PresenceService;
  const unary = unaryFactory(options);
  return {
    setState: unary(method.setState, (caller, request) => service.setState(caller, request)),
    getState: unary(method.getState, (caller, request) => service.getState(caller, request)),
    removeState: unary(method.removeState, (caller, request) => service.removeState(caller, request)),
    listOnlineUsers: unary(method.listOnlineUsers, (caller, request) => service.listOnlineUsers(caller, request)),
    listUserChannels: unary(method.listUserChannels, (caller, request) => service.listUserChannels(caller, request)),
    joinChannel: unary(method.joinChannel, (caller, request) => service.joinChannel(caller, request)),
    heartbeat: unary(method.heartbeat, (caller, request) => service.heartbeat(caller, request)),
    leaveChannel: unary(method.leaveChannel, (caller, request) => service.leaveChannel(caller, request)),
    subscribePresence: subscribeHandler(options),
  };
}

interface UnaryMethod<In extends DescMessage, Out extends DescMessage> {
  readonly name: string;
  readonly input: In;
  readonly output: Out;
}

type UseCase<In extends DescMessage, Out extends DescMessage> = (
  caller: Caller,
  request: MessageShape<In>,
) => Promise<MessageShape<Out>>;

function unaryFactory(options: HandlersOptions) {
  return <In extends DescMessage, Out extends DescMessage>(
    { name, input, output }: UnaryMethod<In, Out>,
    useCase: UseCase<In, Out>,
  ): handleUnaryCall<Buffer, Buffer> => {
    const answer = async (caller: Caller, bytes: Buffer): Promise<Buffer> =>
      asBuffer(toBinary(output, await useCase(caller, decodeRequest(input, bytes))));
    return (call, callback) => {
      const began = performance.now();
      const finish = (reason: string): void => options.onCall(name, reason, (performance.now() - began) / 1000);
      const refuse = (error: unknown): void => {
        finish(reasonOf(error, name, options));
        callback(toServiceError(error));
      };
      try {
        answer(callerOf(call), call.request).then((response) => {
          finish("OK");
          callback(null, response);
        }, refuse);
      } catch (error) {
        refuse(error);
      }
    };
  };
}

function subscribeHandler(options: HandlersOptions): handleServerStreamingCall<Buffer, Buffer> {
  const { service, connections } = options;
  const { name, input } = pb.PresenceService.method.subscribePresence;
  return async (call) => {
    const began = performance.now();
    const peer = call.getPeer();
    const sink = new CallSink(call, () => connections.destroy(peer));
    const gone = streamEnd(call, peer, connections);
    let reason = "OK";
    try {
      const subscription = await service.subscribe(callerOf(call), decodeRequest(input, call.request), sink);
      await subscription.closed(await gone);
    } catch (error) {
      reason = reasonOf(error, name, options);
      call.emit("error", toServiceError(error));
    }
    options.onCall(name, reason, (performance.now() - began) / 1000);
  };
}

/** Resolves when the stream is gone by the client's doing: cancelled while its connection lives, or lost. */
function streamEnd(
  call: ServerWritableStream<Buffer, Buffer>,
  peer: string,
  connections: Connections,
): Promise<StreamEnd> {
  return new Promise((resolve) => {
    call.once("cancelled", () => {
      const deadline = Number(call.getDeadline());
      if (deadline <= Date.now()) {
        resolve("lost");
        return;
      }
      // A client that goes away cancels first and closes its connection in the same breath; let us read on to see.
      setImmediate(() => resolve(connections.isOpen(peer) ? "cancelled" : "lost"));
    });
  });
}

function callerOf(call: { readonly metadata: { get(key: string): (string | Buffer)[] } }): Caller {
  const [userId] = call.metadata.get("x-user-id");
  return callerFromMetadata(userId === undefined ? undefined : String(userId));
}

function reasonOf(error: unknown, method: string, options: HandlersOptions): string {
  if (error instanceof PresenceError) return error.reason;
  options.onError(error, method);
  return "INTERNAL";
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}
