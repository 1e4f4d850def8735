import { type DescMessage, type MessageShape, toBinary } from "@bufbuild/protobuf";
import type {
  handleServerStreamingCall,
  handleUnaryCall,
  ServerWritableStream,
  UntypedServiceImplementation,
} from "@grpc/grpc-js";
import * as pb from "../../gen/presence/v1/presence_service_pb.js";
import type { Heartbeats } from "../fanout/heartbeats.js";
import type { Sink } from "../fanout/ports.js";
import { PresenceError } from "../model/errors.js";
import type { EntryResult } from "../service/batch.js";
import type { Authenticate, Caller } from "../service/caller.js";
import type { PresenceService } from "../service/presence_service.js";
import type { Subscription } from "../service/subscriber.js";
import { decodeRequest } from "../wire/decode.js";
import { encodeJoined, encodeWritten } from "../wire/write_response.js";
import { encodeBatch } from "./batch_answer.js";
import type { CancelledStream, CancelledStreams } from "./cancelled_streams.js";
import type { Connections } from "./connections.js";
import { tooLarge, toServiceError } from "./status.js";
import { Framer, sinkOf } from "./stream_sink.js";
import { type AnyCall, http2StreamOf } from "./transport_internals.js";
import type { UnpaidCalls } from "./unpaid_calls.js";
import type { Turn, UnreadAnswers } from "./unread_answers.js";

/** What the handlers stand on. */
export interface HandlersOptions {
  readonly service: PresenceService;
  readonly connections: Connections;
  readonly unpaidCalls: UnpaidCalls;
  readonly unread: UnreadAnswers;
  readonly cancelled: CancelledStreams;
  readonly heartbeats: Heartbeats;
  /** The largest request of a call for one user, in bytes (S21). The transport has read it, and nothing has decoded it. */
  readonly maxRequestBytes: number;
  /** The same for the batches. */
  readonly maxBatchBytes: number;
  readonly authenticate: Authenticate;
  /** A call failed by the server's own fault. */
  readonly onError: (error: unknown, method: string) => void;
  /** A call was answered; `reason` is `OK`, or why it was refused. Absent: nobody wants to know. */
  readonly onCall: ((method: string, reason: string, seconds: number) => void) | undefined;
}

/** The handlers of PresenceService for grpc-js: bytes in, bytes or errors out. */
export function presenceHandlers(options: HandlersOptions): UntypedServiceImplementation {
  const { service } = options;
  const { method } = pb.PresenceService;
  const message = <In extends DescMessage, Out extends DescMessage>(
    described: { readonly name: string; readonly input: In; readonly output: Out },
    useCase: UseCase<In, MessageShape<Out>>,
  ) => unaryHandler(options, described, useCase, (response) => toBinary(described.output, response));
  return {
    setState: unaryHandler(options, method.setState, (...call) => service.setState(...call), encodeWritten),
    removeState: unaryHandler(options, method.removeState, (...call) => service.removeState(...call), encodeWritten),
    getState: message(method.getState, (...call) => service.getState(...call)),
    listOnlineUsers: message(method.listOnlineUsers, (...call) => service.listOnlineUsers(...call)),
    listUserChannels: message(method.listUserChannels, (...call) => service.listUserChannels(...call)),
    joinChannel: unaryHandler(options, method.joinChannel, (...call) => service.joinChannel(...call), encodeJoined),
    batchSetState: unaryHandler(
      { ...options, maxRequestBytes: options.maxBatchBytes },
      method.batchSetState,
      (...call) => service.batchSetState(...call),
      (results) => encodeBatch(reported(results, method.batchSetState.name, options), encodeWritten),
    ),
    batchJoinChannel: unaryHandler(
      { ...options, maxRequestBytes: options.maxBatchBytes },
      method.batchJoinChannel,
      (...call) => service.batchJoinChannel(...call),
      (results) => encodeBatch(reported(results, method.batchJoinChannel.name, options), encodeJoined),
    ),
    heartbeat: message(method.heartbeat, (...call) => service.heartbeat(...call)),
    leaveChannel: message(method.leaveChannel, (...call) => service.leaveChannel(...call)),
    subscribePresence: streamHandler(options, method.subscribePresence, (...call) => service.subscribe(...call)),
    watchChannels: streamHandler(options, method.watchChannels, (...call) => service.watchChannels(...call)),
  };
}

/** What the metrics call a request that is beyond its limit: no ErrorReason, for the transport has none. */
const TOO_LARGE = "TOO_LARGE";

type UseCase<In extends DescMessage, Result> = (caller: Caller, request: MessageShape<In>) => Promise<Result>;

function unaryHandler<In extends DescMessage, Result>(
  options: HandlersOptions,
  { name, input }: { readonly name: string; readonly input: In },
  useCase: UseCase<In, Result>,
  encode: (result: Result) => Uint8Array,
): handleUnaryCall<Buffer, Buffer> {
  return async (call, callback) => {
    const began = options.onCall && performance.now();
    const { length } = call.request;
    if (length > options.maxRequestBytes) {
      refuse(options, call, () => callback(tooLarge(length, options.maxRequestBytes)));
      report(options, name, TOO_LARGE, began);
      return;
    }
    let isAdmitted = false;
    let response: Buffer;
    let turn: Turn | undefined;
    try {
      const identified = callerOf(call, options);
      const caller = identified instanceof Promise ? await identified : identified;
      options.service.admit(caller, name);
      isAdmitted = true;
      admitted(options, call);
      const request = decodeRequest(input, call.request);
      const begun = options.unread.begin(call);
      if (begun?.room) await begun.room;
      turn = begun;
      const leaving = options.cancelled.before(call);
      if (leaving) await leaving;
      response = asBuffer(encode(await useCase(caller, request)));
    } catch (error) {
      if (turn) options.unread.answered(turn, 0);
      const reason = reasonOf(error, name, options);
      if (isAdmitted) callback(toServiceError(error));
      else refuse(options, call, () => callback(toServiceError(error)));
      report(options, name, reason, began);
      return;
    }
    callback(null, response);
    if (turn) options.unread.answered(turn, response.length);
    report(options, name, "OK", began);
  };
}

/** The results of a batch, of which internal errors are reported as for a single call: one of several entries once. */
function reported<T>(
  results: readonly EntryResult<T>[],
  name: string,
  options: HandlersOptions,
): readonly EntryResult<T>[] {
  const errors = new Set(results.flatMap((result) => ("failed" in result ? [result.failed] : [])));
  for (const error of errors) reasonOf(error, name, options);
  return results;
}

/** A call of an authenticated user within its rate limits is about to be carried out. */
function admitted({ unpaidCalls }: HandlersOptions, call: AnyCall): void {
  const session = http2StreamOf(call)?.session;
  if (session) unpaidCalls.admitted(session);
}

/** Charges a call that was not admitted to its connection, and runs `answer` now or later. */
function refuse({ unpaidCalls }: HandlersOptions, call: AnyCall, answer: () => void): void {
  const session = http2StreamOf(call)?.session;
  if (session) unpaidCalls.refused(session, call.request.length, answer);
  else answer();
}

function report({ onCall }: HandlersOptions, name: string, reason: string, began: number | undefined): void {
  if (onCall && began !== undefined) onCall(name, reason, (performance.now() - began) / 1000);
}

function streamHandler<In extends DescMessage>(
  options: HandlersOptions,
  { name, input }: { readonly name: string; readonly input: In },
  open: (caller: Caller, request: MessageShape<In>, sink: Sink) => Promise<Subscription>,
): handleServerStreamingCall<Buffer, Buffer> {
  const { connections } = options;
  const shared = { framer: new Framer(), unread: options.unread, heartbeats: options.heartbeats };
  return (call) => {
    const began = options.onCall && performance.now();
    const peer = call.getPeer();
    let isAdmitted = false;
    const fail = (error: unknown): void => {
      const reason = reasonOf(error, name, options);
      const answer = () => call.emit("error", toServiceError(error));
      if (isAdmitted) answer();
      else refuse(options, call, answer);
      report(options, name, reason, began);
    };
    const { length } = call.request;
    if (length > options.maxRequestBytes) {
      refuse(options, call, () => call.emit("error", tooLarge(length, options.maxRequestBytes)));
      report(options, name, TOO_LARGE, began);
      return;
    }
    const letIn = async (): Promise<Subscription> => {
      const sink = sinkOf(call, shared, () => connections.destroy(peer));
      const identified = callerOf(call, options);
      const caller = identified instanceof Promise ? await identified : identified;
      options.service.admit(caller, name);
      isAdmitted = true;
      admitted(options, call);
      const leaving = options.cancelled.before(call);
      if (leaving) await leaving;
      return open(caller, decodeRequest(input, call.request), sink);
    };
    const opened = letIn();
    opened.catch(fail);
    const done = (): void => report(options, name, "OK", began);
    onEnd(call, options, {
      stop: () => void opened.then((subscription) => subscription.stop(), ignore),
      close: (how, since) =>
        // A stream that was not let in has been reported with its error.
        opened.then((subscription) => subscription.closed(how, since).then(done, fail), ignore),
    });
  };
}

/**
 * How long before a call's deadline, in milliseconds, a cancel counts as the deadline passing. A client whose deadline
 * passes cancels, by its own clock: the server's began when the call arrived and ends as much later as that took.
 */
const DEADLINE_SLACK_MS = 100;

/** Reports the end of a stream by the client's doing: that it ended, and then how. */
function onEnd(
  call: ServerWritableStream<Buffer, Buffer>,
  { connections, cancelled }: HandlersOptions,
  { stop, close }: { readonly stop: () => void; readonly close: CancelledStream["decide"] },
): void {
  const stream = http2StreamOf(call);
  // A stream that has ended no longer knows its connection.
  const [session, peer] = [stream?.session, call.getPeer()];
  let hasEnded = false;
  const ended = (): void => {
    if (hasEnded) return;
    hasEnded = true;
    stop();
    const isLate = Number(call.getDeadline()) - Date.now() < DEADLINE_SLACK_MS;
    if (isLate) void close("lost");
    else cancelled.add({ session, isConnected: () => connections.isOpen(peer), decide: close });
  };
  // While the reset is being read; "cancelled" may come after later calls.
  stream?.once("aborted", ended);
  call.once("cancelled", ended);
}

/** Who calls; asked before the request is looked at, so that strangers learn nothing from what is said of it. */
function callerOf(call: AnyCall, { authenticate, connections }: HandlersOptions): Caller | Promise<Caller> {
  return authenticate({
    authorization: () => entryOf(call, "authorization"),
    userId: () => entryOf(call, "x-user-id"),
    certificate: () => connections.certificateOf(call.getPeer()),
  });
}

/** The value of a metadata entry. Several are joined as Node joins them, so that none of them is taken for the only one. */
function entryOf({ metadata }: AnyCall, name: string): string | undefined {
  const values = metadata.get(name);
  return values.length === 0 ? undefined : values.join(", ");
}

function reasonOf(error: unknown, method: string, options: HandlersOptions): string {
  if (error instanceof PresenceError) return error.reason;
  options.onError(error, method);
  return "INTERNAL";
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length);
}

const ignore = (): void => {};
