import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { create } from "@bufbuild/protobuf";
import { createChannel, createClient, createServer, ServerError, Status } from "nice-grpc";
import { GetStateResponseSchema, PresenceService } from "../../gen/presence/v1/presence_service_pb.js";
import { serviceDefinitionOf } from "../../src/client/service_definition.js";
import { message } from "../support/calls.js";

const PAGE = readFileSync(new URL("../../docs/clients.md", import.meta.url), "utf8");

describe("contract: docs/clients.md", () => {
  const text = /<!-- test: service config -->\n```json\n([\s\S]*?)```/.exec(PAGE)?.[1] ?? "";

  it("names calls in its service config that there are, and none that streams", () => {
    const [config] = JSON.parse(text).methodConfig as { name: { service: string; method: string }[] }[];
    for (const { service, method } of config!.name) {
      assert.equal(service, PresenceService.typeName);
      assert.equal(PresenceService.methods.find(({ name }) => name === method)?.methodKind, "unary", method);
    }
  });

  it("has a service config with which a read outlives two UNAVAILABLE, and a join none", async () => {
    const definition = serviceDefinitionOf(PresenceService);
    const server = createServer();
    const calls = { getState: 0, joinChannel: 0 };
    const away = () => new ServerError(Status.UNAVAILABLE, "away");
    const { getState, joinChannel } = definition;
    server.add(
      { getState, joinChannel },
      {
        async getState() {
          if (++calls.getState <= 2) throw away();
          return create(GetStateResponseSchema, { state: { userId: "tony" } });
        },
        async joinChannel() {
          calls.joinChannel++;
          throw away();
        },
      },
    );
    const port = await server.listen("127.0.0.1:0");
    const channel = createChannel(`127.0.0.1:${port}`, undefined, { "grpc.service_config": text });
    try {
      const client = createClient({ getState, joinChannel }, channel);
      const { state } = await client.getState({ channel: message("chat_room"), userId: "tony" });
      assert.equal(state?.userId, "tony");
      await assert.rejects(client.joinChannel({}), /UNAVAILABLE/);
      assert.deepEqual(calls, { getState: 3, joinChannel: 1 });
    } finally {
      channel.close();
      await server.shutdown();
    }
  });
});
