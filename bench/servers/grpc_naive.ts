import { fromBinary, toBinary } from "@bufbuild/protobuf";
import type { ServerWritableStream } from "@grpc/grpc-js";
import {
  SetStateRequestSchema,
  SubscribePresenceRequestSchema,
  type SubscribePresenceResponse,
  SubscribePresenceResponseSchema,
} from "../../gen/presence/v1/presence_service_pb.js";
import { serveChild } from "./child.js";
import { Rooms, startGrpcBaseline } from "./grpc_baseline.js";
import { greeting, ReadyEvents } from "./ready_event.js";

/** grpc-js as a first version would use it: the event is an object, and every write encodes it again. */
await serveChild(() => {
  const rooms = new Rooms<ServerWritableStream<Buffer, SubscribePresenceResponse>, ReadyEvents>(
    (name) => new ReadyEvents(name),
  );
  return startGrpcBaseline<SubscribePresenceResponse>({
    serialize: (message) => Buffer.from(toBinary(SubscribePresenceResponseSchema, message)),
    subscribe: (bytes, call) => {
      const request = fromBinary(SubscribePresenceRequestSchema, bytes);
      const channel = request.channel!.name;
      const { events, readers } = rooms.of(channel);
      call.write(greeting(channel, events.changes));
      if (request.withPresence === false) return;
      readers.add(call);
      call.on("cancelled", () => readers.delete(call));
    },
    change: (bytes) => {
      const request = fromBinary(SetStateRequestSchema, bytes);
      const { events, readers } = rooms.of(request.channel!.name);
      if (readers.size === 0) return;
      const message = events.nextMessage(request.states.Mic!);
      for (const call of readers) call.write(message);
    },
  });
});
