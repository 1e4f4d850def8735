import assert from "node:assert/strict";
import { cpSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { create } from "@bufbuild/protobuf";
import {
  type DescriptorProto,
  EnumValueDescriptorProtoSchema,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldDescriptorProtoSchema,
  type FileDescriptorSet,
} from "@bufbuild/protobuf/wkt";
import { ClientError, Status } from "nice-grpc";
import type { ChannelType } from "../../gen/presence/v1/presence_pb.js";
import { buf } from "../../scripts/check_generated.js";
import type { RollcallServer } from "../../src/server/server.js";
import { message } from "../support/calls.js";
import { clientOf, RELEASED, released } from "../support/released.js";
import { startTestServer } from "../support/server.js";

const ROOM = message("chat_room");

function messageOf(contract: FileDescriptorSet, name: string): DescriptorProto {
  const found = contract.file.flatMap((file) => file.messageType).find((type) => type.name === name);
  assert.ok(found, name);
  return found;
}

describe("contract: what was released stays", () => {
  for (const image of RELEASED) {
    it(`breaks no client of ${path.basename(image, ".binpb")}`, async () => {
      assert.equal(await buf(["breaking", "proto", "--against", image]), "");
    });
  }

  it("would be seen to break", async () => {
    const folder = mkdtempSync(path.join(tmpdir(), "rollcall-test-"));
    try {
      for (const part of ["proto", "third_party", "buf.yaml"]) {
        cpSync(new URL(`../../${part}`, import.meta.url), path.join(folder, part), { recursive: true });
      }
      const file = path.join(folder, "proto/presence/v1/presence.proto");
      const text = readFileSync(file, "utf8");
      const edited = text.replace("uint64 revision = 2;", "uint64 counter = 7;");
      assert.notEqual(edited, text);
      writeFileSync(file, edited);
      const against = new URL(`../../${RELEASED[0]}`, import.meta.url).pathname;
      await assert.rejects(
        buf(["breaking", path.join(folder, "proto"), "--against", against]),
        /Previously present field "2" with name "revision" on message "Position" was deleted/,
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
  });
});

describe("contract: clients of another age", () => {
  let server: RollcallServer;
  const open: { close(): void }[] = [];

  before(async () => {
    server = await startTestServer();
  });
  afterEach(() => {
    for (const channel of open.splice(0)) channel.close();
  });
  after(() => server.close());

  function client(contract: FileDescriptorSet, options?: Record<string, number>) {
    const { client, channel, registry } = clientOf(contract, server.address, options);
    open.push(channel);
    return { client, registry };
  }

  for (const image of RELEASED) {
    it(`${path.basename(image, ".binpb")}: sets, joins, watches, reads and leaves`, async () => {
      const { client: calls } = client(released(image));
      const cancel = new AbortController();
      const set = await calls.setState({ channel: ROOM, userId: "tony", states: { Mode: "Happy" } });
      assert.equal(set.pending, true);
      // Revisions of 0.1.0 began at 1; today's need 45 bits, and those of pending states 53.
      assert.ok(set.state!.revision >= 2n ** 52n);
      const pending = { channel: ROOM, userId: "tony", states: { Mode: "Happy" } };
      await calls.setState({ ...pending, expectedRevision: set.state!.revision });
      const stream = calls.subscribePresence({ channel: ROOM, userId: "anna" }, { signal: cancel.signal });
      const kinds: (string | undefined)[] = [];
      const users: string[] = [];
      await calls.joinChannel({ channel: ROOM, userId: "tony" });
      for await (const { events } of stream) {
        kinds.push(...events.map(({ event }) => event.case));
        users.push(...events.map(({ userId }) => userId));
        if (kinds.includes("snapshot")) break;
      }
      assert.deepEqual(kinds.slice(0, 2), ["subscribed", "snapshot"]);
      assert.deepEqual(users.slice(0, 2), ["anna", ""], "SUBSCRIBED names its user, which a client may ignore");
      const { state } = await calls.getState({ channel: ROOM, userId: "tony" });
      assert.deepEqual(state?.states, { Mode: "Happy" });
      assert.ok(state!.revision > 2n ** 32n);
      const next = await calls.setState({ ...pending, expectedRevision: state!.revision });
      assert.ok(next.state!.revision > state!.revision);
      await assert.rejects(calls.setState({ ...pending, expectedRevision: state!.revision }), {
        code: Status.ABORTED,
      });
      await calls.removeState({ channel: ROOM, userId: "tony", keys: ["Mode"] });
      assert.equal((await calls.listUserChannels({ userId: "tony" })).channels.length, 1);
      await calls.leaveChannel({ channel: ROOM, userId: "tony" });
      cancel.abort();
    });
  }

  it("newer: fields that this server does not know are passed over", async () => {
    const contract = released();
    const extra = { number: 900, type: FieldDescriptorProto_Type.STRING, label: FieldDescriptorProto_Label.OPTIONAL };
    for (const type of ["SetStateRequest", "Channel", "GetStateRequest"]) {
      messageOf(contract, type).field.push(
        create(FieldDescriptorProtoSchema, { ...extra, name: "colour", jsonName: "colour" }),
      );
    }
    const { client: calls } = client(contract);
    const newer = { channel: { ...ROOM, colour: "red" }, userId: "newer", colour: "green" };
    await calls.joinChannel({ channel: ROOM, userId: "newer" });
    const { state } = await calls.setState({ ...newer, states: { Mode: "Happy" } });
    assert.deepEqual(state?.states, { Mode: "Happy" });
    assert.deepEqual((await calls.getState(newer)).state?.states, { Mode: "Happy" });
    await calls.leaveChannel({ channel: ROOM, userId: "newer" });
  });

  it("newer: an enum value that this server does not know is refused by its field", async () => {
    const contract = released();
    const types = contract.file.flatMap((file) => file.enumType).find(({ name }) => name === "ChannelType")!;
    types.value.push(create(EnumValueDescriptorProtoSchema, { name: "CHANNEL_TYPE_HOLOGRAM", number: 77 }));
    const { client: calls } = client(contract);
    await assert.rejects(
      calls.setState({ channel: { ...ROOM, type: 77 as ChannelType }, userId: "tony" }),
      (error: ClientError) => {
        assert.deepEqual([error.code, error.details.split(":")[0]], [Status.INVALID_ARGUMENT, "channel.type"]);
        return true;
      },
    );
  });

  it("older: an event of a kind that the client does not know leaves it whole, with the position", async () => {
    const contract = released();
    const event = messageOf(contract, "PresenceEvent");
    event.field = event.field.filter(({ name }) => name !== "remote_state_changed");
    const { client: calls } = client(contract);
    const cancel = new AbortController();
    const seen: { kind: string | undefined; revision: bigint | undefined }[] = [];
    const stream = calls.subscribePresence({ channel: ROOM, userId: "older" }, { signal: cancel.signal });
    for await (const { events } of stream) {
      for (const { event, position } of events) seen.push({ kind: event.case, revision: position?.revision });
      if (seen.length === 2) {
        await calls.joinChannel({ channel: ROOM, userId: "tony", initialStates: { Mode: "Happy" } });
        await calls.leaveChannel({ channel: ROOM, userId: "tony" });
      }
      if (seen.length >= 5) break;
    }
    assert.deepEqual(
      seen.map(({ kind }) => kind),
      ["subscribed", "snapshot", "remoteJoin", undefined, "remoteLeave"],
    );
    assert.deepEqual(
      seen.slice(2).map(({ revision }) => revision! - seen[1]!.revision!),
      [1n, 2n, 3n],
    );
    cancel.abort();
  });

  it("a client that takes 1 KiB a message is told so when there is more, and does not hang", async () => {
    const { client: calls } = client(released(), { "grpc.max_receive_message_length": 1024 });
    const small = { channel: message("small"), userId: "tony" };
    await client(released()).client.joinChannel({ ...small, initialStates: { Mood: "x".repeat(2000) } });
    const tooLarge = (error: ClientError) => {
      assert.ok(error instanceof ClientError);
      assert.equal(error.code, Status.RESOURCE_EXHAUSTED);
      assert.match(error.details, /larger than max \(\d+ vs\.? 1024\)/);
      return true;
    };
    await assert.rejects(calls.getState(small), tooLarge);
    await assert.rejects(async () => {
      for await (const _ of calls.subscribePresence({ ...small, userId: "anna" }));
    }, tooLarge);
    assert.equal((await calls.listOnlineUsers({ channel: small.channel, countOnly: true })).totalSize >= 1, true);
  });
});
