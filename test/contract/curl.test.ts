import assert from "node:assert/strict";
import { fromBinary } from "@bufbuild/protobuf";
import { BadRequestSchema, ErrorInfoSchema } from "../../gen/google/rpc/error_details_pb.js";
import { PresenceService } from "../../gen/presence/v1/presence_service_pb.js";
import type { RollcallServer } from "../../src/server/server.js";
import { BufCurl, type SchemaSource } from "../support/buf_curl.js";
import { assertGolden, masked } from "../support/golden.js";
import { startTestServer } from "../support/server.js";

const channel = { type: "CHANNEL_TYPE_MESSAGE", name: "chat_room" };
const tony = { channel, userId: "tony" };
const METHODS = PresenceService.methods.map(({ name }) => name);

/** One refusal of each call. A refused call changes nothing, so they need no order. */
const REFUSED: Readonly<Record<string, unknown>> = {
  SetState: { ...tony, states: { "": "Happy" } },
  GetState: { channel, userId: "nobody" },
  RemoveState: { ...tony, keys: ["k".repeat(65)] },
  SubscribePresence: { ...tony, presenceTimeout: "301s" },
  WatchChannels: { prefix: "p".repeat(129) },
  BatchJoinChannel: {},
  BatchSetState: {},
  ListOnlineUsers: { channel, pageToken: "made up" },
  ListUserChannels: { userId: "tony", pageSize: -1 },
  JoinChannel: { channel: { name: "chat_room" }, userId: "tony" },
  Heartbeat: { sessionIds: [] },
  LeaveChannel: { ...tony, sessionId: "unknown" },
};

/** Code, reason, metadata and fields of what buf prints of a status. */
function refusal(printed: unknown): unknown {
  const { code, details = [] } = printed as { code: string; details?: { type: string; value: string }[] };
  const find = (type: string) => details.find((detail) => detail.type === type)?.value;
  const [info, bad] = [find("google.rpc.ErrorInfo"), find("google.rpc.BadRequest")];
  const { reason, metadata } = fromBinary(ErrorInfoSchema, Buffer.from(info ?? "", "base64"));
  const { fieldViolations } = fromBinary(BadRequestSchema, Buffer.from(bad ?? "", "base64"));
  return { code, reason, metadata: { ...metadata }, fields: fieldViolations.map(({ field }) => field) };
}

/** The events of a stream's messages: how many come together is a matter of the moment. */
function eventsOf(messages: unknown[]): unknown[] {
  return (messages as { events: unknown[] }[]).flatMap(({ events }) => events);
}

describe("contract: buf curl", () => {
  // One process a call, and each takes a third of a second or more.
  let server: RollcallServer;
  const running: BufCurl[] = [];

  beforeEach(async () => {
    server = await startTestServer();
  });
  afterEach(async () => {
    await Promise.all(running.splice(0).map((call) => call.stop()));
    await server.close();
  });

  function curl(source: SchemaSource, method: string, request: unknown): BufCurl {
    const call = new BufCurl(server.address, source, method, request);
    running.push(call);
    return call;
  }

  for (const source of ["reflection", "schema"] as const) {
    it(`gets the golden answer to every call, streams too, over ${source}`, async () => {
      const answers: Record<string, unknown> = {};
      const ask = async (name: string, method: string, request: unknown): Promise<unknown> => {
        const call = curl(source, method, request);
        assert.equal(await call.error, undefined, method);
        const answer = await call.answers.next();
        answers[name] = answer;
        return answer;
      };
      const feed = curl(source, "WatchChannels", { withSnapshot: true });
      const opening = await feed.answers.next();
      await ask("SetState", "SetState", { ...tony, states: { Mode: "Happy" } });
      const anna = curl(source, "SubscribePresence", { channel, userId: "anna" });
      const first = await anna.answers.next();
      const joined = await ask("JoinChannel", "JoinChannel", {
        ...tony,
        initialStates: { Mic: "" },
        ttl: "300s",
        deviceId: "phone",
      });
      await ask("GetState", "GetState", tony);
      await ask("RemoveState", "RemoveState", { ...tony, keys: ["Mode"] });
      const { sessionId } = joined as { sessionId: string };
      await ask("Heartbeat", "Heartbeat", { sessionIds: [sessionId, "unknown"] });
      await ask("BatchJoinChannel", "BatchJoinChannel", { requests: [{ channel, userId: "zoe" }, { userId: "eve" }] });
      const zoe = { channel, userId: "zoe" };
      await ask("BatchSetState", "BatchSetState", {
        requests: [
          { ...zoe, states: { a: "1", b: "2" } },
          { ...zoe, states: { a: "3" } },
        ],
      });
      await ask("ListOnlineUsers", "ListOnlineUsers", { channel, includeStates: true, pageSize: 2 });
      await ask("ListUserChannels", "ListUserChannels", { userId: "tony" });
      await ask("LeaveChannel", "LeaveChannel", { ...tony, sessionId });
      await ask("LeaveChannel of a stream", "LeaveChannel", { channel, userId: "anna" });
      assert.equal(await anna.error, undefined, "the stream ended with OK");
      answers.SubscribePresence = eventsOf([first, ...anna.answers.drain()]);
      await ask("LeaveChannel of a lease", "LeaveChannel", { channel, userId: "zoe" });
      const watched = [opening];
      while (!JSON.stringify(watched.at(-1)).includes("channelVacated")) watched.push(await feed.answers.next());
      answers.WatchChannels = eventsOf(watched);
      assert.deepEqual(
        METHODS.filter((method) => !(method in answers)),
        [],
      );
      assertGolden("curl_answers.json", masked(answers));
    });

    it(`gets the golden error of every call, over ${source}`, async () => {
      assert.deepEqual(Object.keys(REFUSED).sort(), [...METHODS].sort());
      const errors: Record<string, unknown> = {};
      for (const [method, request] of Object.entries(REFUSED)) {
        const error = await curl(source, method, request).error;
        assert.ok(error, `${method} was refused`);
        errors[method] = refusal(error);
      }
      assertGolden("curl_errors.json", errors);
    });
  }
});
