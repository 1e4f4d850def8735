import type { ServerWritableStream } from "@grpc/grpc-js";
import { serveChild } from "./child.js";
import { Rooms, startGrpcBaseline } from "./grpc_baseline.js";
import { ReadyEvents, wishOf } from "./ready_event.js";

/** grpc-js at its best: the event's bytes are made once, serialising does nothing, one write per event and reader. */
await serveChild(() => {
  const rooms = new Rooms<ServerWritableStream<Buffer, Buffer>, ReadyEvents>((name) => new ReadyEvents(name));
  return startGrpcBaseline<Buffer>({
    serialize: (bytes) => bytes,
    subscribe: (request, call) => {
      const { channel, hears } = wishOf(request, true);
      const { events, readers } = rooms.of(channel);
      call.write(events.greeting());
      if (!hears) return;
      readers.add(call);
      call.on("cancelled", () => readers.delete(call));
    },
    change: (request) => {
      const { events, readers } = rooms.of(wishOf(request, false).channel);
      if (readers.size === 0) return;
      const bytes = events.next(request);
      for (const call of readers) call.write(bytes);
    },
  });
});
