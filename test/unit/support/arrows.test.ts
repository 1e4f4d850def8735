import assert from "node:assert/strict";
import { forbidden, roomOf } from "../../support/arrows.js";

/** What the rules say of one made-up import; empty when it is allowed. */
function check(file: string, target: string | undefined, typeOnly = false): string {
  return forbidden([{ file, line: 7, target, typeOnly }]).join();
}

describe("support: forbidden arrows", () => {
  const allowed: [file: string, target: string, typeOnly?: boolean][] = [
    ["src/model/delta.ts", "src/model/position.ts"],
    ["src/channel/apply.ts", "src/model/delta.ts"],
    ["src/channel/apply.ts", "src/time/clock.ts", true],
    ["src/engine/memory.ts", "src/channel/apply.ts"],
    ["src/engine/memory.ts", "src/time/clock.ts"],
    ["src/engine/redis/store.ts", "ioredis"],
    ["src/fanout/hub.ts", "src/model/delta.ts"],
    ["src/fanout/hub.ts", "node:buffer"],
    ["src/wire/messages.ts", "gen/presence/v1/presence_pb.ts"],
    ["src/wire/codec.ts", "src/fanout/ports.ts", true],
    ["src/service/set_state.ts", "src/engine/engine.ts"],
    ["src/service/set_state.ts", "src/wire/messages.ts"],
    ["src/rpc/status.ts", "gen/google/rpc/status_pb.ts"],
    ["src/rpc/status.ts", "@grpc/grpc-js"],
    ["src/server/server.ts", "src/engine/memory.ts"],
    ["src/client/index.ts", "gen/presence/v1/presence_pb.ts"],
    ["src/cli/watch.ts", "src/client/index.ts"],
    ["src/cli/serve.ts", "src/server/server.ts"],
    ["src/cli/watch.ts", "node:util"],
  ];
  for (const [file, target, typeOnly = false] of allowed) {
    it(`allow ${file} → ${target}`, () => assert.equal(check(file, target, typeOnly), ""));
  }

  const refused: [file: string, target: string, typeOnly?: boolean][] = [
    ["src/model/delta.ts", "src/channel/apply.ts", true],
    ["src/time/clock.ts", "src/model/delta.ts"],
    ["src/time/clock.ts", "node:fs"],
    ["src/model/delta.ts", "node:crypto"],
    ["src/channel/apply.ts", "@bufbuild/protobuf"],
    ["src/channel/apply.ts", "src/time/clock.ts"],
    ["src/engine/memory.ts", "src/fanout/hub.ts"],
    ["src/engine/memory.ts", "gen/presence/v1/presence_pb.ts", true],
    ["src/fanout/hub.ts", "src/wire/codec.ts", true],
    ["src/fanout/hub.ts", "node:crypto"],
    ["src/wire/codec.ts", "src/fanout/hub.ts"],
    ["src/wire/codec.ts", "src/service/set_state.ts", true],
    ["src/service/set_state.ts", "src/engine/memory.ts"],
    ["src/service/set_state.ts", "src/rpc/status.ts"],
    ["src/rpc/status.ts", "src/engine/engine.ts"],
    ["src/server/server.ts", "src/cli/main.ts"],
    ["src/server/server.ts", "src/client/index.ts"],
    ["src/server/server.ts", "gen/presence/v1/presence_pb.ts"],
    ["src/client/index.ts", "src/model/delta.ts", true],
    ["src/cli/watch.ts", "src/server/server.ts"],
    ["src/cli/main.ts", "gen/presence/v1/presence_pb.ts"],
    ["src/client/index.ts", "src/cli/main.ts"],
    ["src/rpc/status.ts", "src/helpers.ts"],
    ["src/rpc/status.ts", "test/support/imports.ts"],
    ["src/helpers.ts", "node:fs"],
  ];
  for (const [file, target, typeOnly = false] of refused) {
    it(`refuse ${file} → ${target}`, () => assert.match(check(file, target, typeOnly), /:7 imports/));
  }

  it("name the file, the import, and what is allowed", () => {
    assert.equal(
      check("src/wire/codec.ts", "src/fanout/hub.ts"),
      "src/wire/codec.ts:7 imports src/fanout/hub.ts: wire may import model, gen, fanout (types only), channel (types only)",
    );
    assert.equal(check("src/model/delta.ts", "pino"), "src/model/delta.ts:7 imports pino: model may import no package");
    assert.match(check("src/rpc/status.ts", undefined), /imports something computed: nobody can read off/);
  });

  it("find the room of a file", () => {
    assert.equal(roomOf("src/engine/redis/store.ts"), "engine");
    assert.equal(roomOf("src/engines/store.ts"), undefined);
    assert.equal(roomOf("gen/presence.ts"), undefined);
  });
});
