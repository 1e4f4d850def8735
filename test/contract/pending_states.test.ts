import assert from "node:assert/strict";
import { type Timestamp, timestampMs } from "@bufbuild/protobuf/wkt";
import { connect, message } from "../support/calls.js";
import { startTestServer } from "../support/server.js";

describe("states that are pending, over real sockets", () => {
  it("S12: each answer says when the state is forgotten, by the server's setting", async () => {
    const server = await startTestServer({ pendingTtl: 10_000 });
    const { client, channel: connection } = connect(server.address);
    const tony = { channel: message("pending"), userId: "tony" };
    const begun = Date.now();
    const times: (Timestamp | undefined)[] = [];
    try {
      const set = await client.setState({ ...tony, states: { mood: "fine", seat: "7" } });
      const { results } = await client.batchSetState({ requests: [{ ...tony, states: { mood: "busy" } }] });
      const removed = await client.removeState({ ...tony, keys: ["seat"] });
      const [result] = results;
      assert.ok(result?.result.case === "response");
      for (const { pending, pendingExpireTime } of [set, result.result.value, removed]) {
        assert.equal(pending, true);
        times.push(pendingExpireTime);
      }
      const nothing = await client.removeState({ ...tony, keys: [] });
      assert.deepEqual([nothing.pending, nothing.pendingExpireTime], [true, undefined]);
      await client.joinChannel(tony);
      const present = await client.setState({ ...tony, states: { mood: "fine" } });
      assert.deepEqual([present.pending, present.pendingExpireTime], [false, undefined]);
    } finally {
      connection.close();
      await server.close();
    }
    for (const time of times) {
      assert.ok(time);
      const ttl = timestampMs(time) - 10_000;
      assert.ok(begun - 1 <= ttl && ttl <= Date.now() + 1, `${begun} to ${Date.now()}, not ${ttl}`);
    }
  });
});
