import { create, toBinary } from "@bufbuild/protobuf";
import { Client, credentials } from "@grpc/grpc-js";
import { PresenceService, SubscribePresenceRequestSchema } from "../../../gen/presence/v1/presence_service_pb.js";
import { bytesServiceDefinition } from "../../../src/rpc/service_definition.js";
import { startTestServer } from "../../support/server.js";
import { connect } from "../../support/calls.js";
import { setTimeout as sleep } from "node:timers/promises";
it("deadline", async function () {
  this.timeout(60000);
  const server = await startTestServer();
  const { path } = bytesServiceDefinition(PresenceService).subscribePresence!;
  const same = (b: Buffer) => b;
  const call = new Client(server.address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
  const channel = { type: 1, name: "room" };
  const codes: Record<string, number> = {};
  await Promise.all([...Array(300).keys()].map((i) => new Promise<void>((resolve) => {
    const request = toBinary(SubscribePresenceRequestSchema, create(SubscribePresenceRequestSchema, { channel, userId: `u${i}`, withPresence: false }));
    const r = call.makeServerStreamRequest(path, same, same, Buffer.from(request), { deadline: Date.now() + 300 + i * 7 });
    r.on("error", (e: any) => { codes[e.code + e.details.slice(0,30)] = (codes[e.code + e.details.slice(0,30)] ?? 0) + 1; resolve(); }); r.resume();
  })));
  await sleep(200);
  const { client, channel: c } = connect(server.address, "x");
  console.log(codes, (await client.listOnlineUsers({ channel, countOnly: true })).totalSize, "of 300 count as drops");
  c.close(); call.close(); await server.close();
});
