import assert from "node:assert/strict";
import { once } from "node:events";
import {
  Client,
  type ClientReadableStream,
  credentials,
  Server,
  type ServerWritableStream,
  type ServiceError,
  status,
} from "@grpc/grpc-js";
import { PresenceService } from "../../../gen/presence/v1/presence_service_pb.js";
import { Heartbeats } from "../../../src/fanout/heartbeats.js";
import type { Sink } from "../../../src/fanout/ports.js";
import { PresenceError } from "../../../src/model/errors.js";
import { CallSink } from "../../../src/rpc/call_sink.js";
import { Connections } from "../../../src/rpc/connections.js";
import { bytesServiceDefinition } from "../../../src/rpc/service_definition.js";
import { Framer, sinkOf } from "../../../src/rpc/stream_sink.js";
import { UnreadAnswers } from "../../../src/rpc/unread_answers.js";
import { systemClock } from "../../../src/time/clock.js";
import { type Deferred, deferred, nextEvent, within } from "../../support/deferred.js";

type Call = ServerWritableStream<Buffer, Buffer>;

const same = (bytes: Buffer): Buffer => bytes;
const definition = bytesServiceDefinition(PresenceService);

const heartbeats = new Heartbeats(systemClock);
const unread = new UnreadAnswers({ clock: systemClock, timeoutMs: 60_000, maxBytes: 1e9 });

/** Both ways to a reader, over real sockets: they differ in cost alone. */
const WAYS: readonly [name: string, open: (call: Call, cut: () => void) => Sink][] = [
  ["straight to the HTTP/2 stream", (call, cut) => sinkOf(call, { framer: new Framer(), unread, heartbeats }, cut)],
  ["by the call, where no stream is found", (call, cut) => new CallSink(call, heartbeats, cut)],
];

for (const [name, open] of WAYS) {
  describe(`a sink that writes ${name}`, () => {
    let server: Server;
    let connections: Connections;
    let client: Client;
    let opened: Deferred<Sink>;
    let call: Call;
    let sink: Sink;
    let responses: ClientReadableStream<Buffer>;

    beforeEach(async () => {
      server = new Server();
      connections = new Connections(server, {
        clock: systemClock,
        maxPerAddress: 0,
        maxStreams: 100,
        onCall: (_stream, _path, begin) => begin(),
        tls: undefined,
      });
      const subscribePresence = (incoming: Call): void => {
        const peer = incoming.getPeer();
        call = incoming;
        opened.resolve(open(incoming, () => connections.destroy(peer)));
      };
      server.addService({ subscribePresence: definition.subscribePresence! }, { subscribePresence });
      const { port } = await connections.listen({ host: "127.0.0.1", port: 0 });
      client = new Client(`127.0.0.1:${port}`, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
      await subscribe();
    });

    async function subscribe(): Promise<void> {
      opened = deferred();
      const { path } = definition.subscribePresence!;
      responses = client.makeServerStreamRequest(path, same, same, Buffer.from("please"));
      sink = await within("the call", opened.promise);
    }

    afterEach(() => {
      client.close();
      connections.stopListening();
      server.forceShutdown();
      connections.destroyAll();
    });

    it("delivers messages as they are, and ends with OK", async () => {
      const received: string[] = [];
      responses.on("data", (message: Buffer) => received.push(message.toString()));
      const shared = Buffer.from("for all");
      for (const message of [shared, shared, new Uint8Array(Buffer.from("plain")), new Uint8Array(0)]) {
        assert.equal(sink.write(message), true);
      }
      sink.end(undefined);
      const [ended] = await once(responses, "status");
      assert.equal(ended.code, status.OK);
      assert.deepEqual(received, ["for all", "for all", "plain", ""]);
    });

    it("delivers large messages as they are, among small ones, the same memory again and again", async () => {
      const received: Buffer[] = [];
      responses.on("data", (message: Buffer) => received.push(message));
      const large = [70_000, 256 * 1024, 64 * 1024].map((size, i) => Buffer.alloc(size, `large ${i}`));
      const sent = [large[0]!, Buffer.from("small"), large[1]!, large[2]!, large[1]!, large[0]!, Buffer.from("end")];
      for (const message of sent) {
        const drained = deferred();
        sink.onDrain = drained.resolve;
        if (!sink.write(message)) await within("room", drained.promise);
      }
      sink.end(undefined);
      await once(responses, "status");
      assert.deepEqual(
        received.map((message) => message.length),
        sent.map((message) => message.length),
      );
      assert.ok(received.every((message, i) => message.equals(sent[i]!)));
    });

    it("delivers a message in parts as one, whatever their sizes", async () => {
      const received: Buffer[] = [];
      responses.on("data", (message: Buffer) => received.push(message));
      const shared = Buffer.alloc(60_000, "shared");
      const sent = [[], ["a", "", "b"], ["head", shared, shared, "tail"], [shared], ["other head", shared, "tail"]].map(
        (parts) => parts.map((part) => Buffer.from(part as string)),
      );
      for (const parts of sent) {
        const drained = deferred();
        sink.onDrain = drained.resolve;
        const { length } = Buffer.concat(parts);
        if (!sink.writeParts(parts, length)) await within("room", drained.promise);
      }
      sink.end(undefined);
      await once(responses, "status");
      assert.deepEqual(
        received.map((message) => message.toString()),
        sent.map((parts) => Buffer.concat(parts).toString()),
      );
    });

    it("ends with an error and its details", async () => {
      responses.resume();
      sink.write(Buffer.from("one"));
      sink.end(new PresenceError("SERVER_DRAINING", "going down", { retryAfterMs: 5 }));
      const [error] = (await nextEvent(responses, "error")) as [ServiceError];
      assert.deepEqual([error.code, error.details], [status.UNAVAILABLE, "going down"]);
      assert.ok(error.metadata.get("grpc-status-details-bin")[0]);
    });

    it("says when there is no room, bounds what it takes until then, and says when there is room again", async () => {
      const drained = deferred();
      sink.onDrain = drained.resolve;
      let taken = 0;
      const message = Buffer.alloc(16 * 1024);
      while (sink.write(message)) {
        taken += message.length;
        assert.ok(taken < 1024 * 1024, "a megabyte was taken from a reader that does not read");
      }
      assert.equal(drained.settled, false);
      let received = 0;
      responses.on("data", ({ length }: Buffer) => {
        received += length;
      });
      await within("room", drained.promise);
      sink.end(undefined);
      await once(responses, "status");
      assert.equal(received, taken + message.length);
    });

    it("aborts a reader that takes nothing, at once", async () => {
      while (sink.write(Buffer.alloc(64 * 1024)));
      const ended = nextEvent(responses, "error");
      sink.abort(new PresenceError("SUBSCRIBER_TOO_SLOW", "too slow"));
      responses.resume();
      const [error] = (await ended) as [ServiceError];
      assert.ok([status.CANCELLED, status.UNAVAILABLE].includes(error.code), `ended with ${error.code}`);
    });

    it("takes writes after the client has gone, does nothing with them, and harms nobody", async () => {
      const gone = nextEvent(call, "cancelled");
      const ended = nextEvent(responses, "error");
      responses.cancel();
      await Promise.all([ended, gone]);
      for (let i = 0; i < 3; i++) sink.write(Buffer.from("nobody"));
      sink.end(undefined);

      await subscribe();
      sink.write(Buffer.from("somebody"));
      assert.equal(String((await nextEvent(responses, "data"))[0]), "somebody");
      sink.end(undefined);
      await once(responses, "status");
    });
  });
}
