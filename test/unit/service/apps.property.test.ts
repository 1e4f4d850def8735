import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import fc from "fast-check";
import * as pb from "../../../gen/presence/v1/presence_service_pb.js";
import type { PresenceError } from "../../../src/model/errors.js";
import type { Caller } from "../../../src/service/caller.js";
import type { Subscription } from "../../../src/service/subscriber.js";
import { property } from "../../support/property.js";
import { largeRevisions } from "../../support/revisions.js";
import { FakeSink } from "../fanout/fake_sink.js";
import { authenticated, everywhere } from "./callers.js";
import { room, World } from "./world.js";

const ROOMS = ["room", "hall"];
const USERS = ["ann", "bob"];

/** One call of a user of an app, or time that passes for all. */
interface Deed {
  readonly app: "" | "chat" | "game";
  readonly userId: string;
  readonly channel: string;
  readonly kind:
    | "set"
    | "remove"
    | "open"
    | "lose"
    | "leave"
    | "lease"
    | "get"
    | "list"
    | "where"
    | "heartbeat"
    | "wait";
}

const deed: fc.Arbitrary<Deed> = fc.record({
  app: fc.constantFrom("" as const, "chat" as const, "game" as const),
  userId: fc.constantFrom(...USERS),
  channel: fc.constantFrom(...ROOMS),
  kind: fc.constantFrom("set", "remove", "open", "lose", "leave", "lease", "get", "list", "where", "heartbeat", "wait"),
});

/** Does the deeds one after the other; tells all that one app could see of them. */
async function seenBy(app: Deed["app"], deeds: readonly Deed[]): Promise<unknown[]> {
  const world = new World({ limits: { maxChannelsPerUser: 1, maxPendingPairs: 1 }, revisionsOf: largeRevisions });
  const callerOf = (of: Deed["app"], userId: string): Caller =>
    authenticated(userId, { app: of, channels: everywhere("subscribe", "write", "read", "query") });
  const listeners: FakeSink[] = [];
  for (const name of ROOMS) {
    const request = create(pb.SubscribePresenceRequestSchema, { channel: room(name), quiet: true });
    const sink = new FakeSink();
    listeners.push(sink);
    await world.service.subscribe(callerOf(app, `listener in ${name}`), request, sink);
  }
  await world.settle();
  for (const sink of listeners) sink.take();

  const open = new Map<string, Subscription>();
  const leases = new Map<string, string>();
  const act = async ({ kind, ...who }: Deed): Promise<unknown> => {
    const caller = callerOf(who.app, who.userId);
    const key = JSON.stringify(who);
    const channel = room(who.channel);
    const { service } = world;
    switch (kind) {
      case "set":
        return service.setState(caller, create(pb.SetStateRequestSchema, { channel, states: { [who.app]: "1" } }));
      case "remove":
        return service.removeState(caller, create(pb.RemoveStateRequestSchema, { channel }));
      case "open": {
        const request = create(pb.SubscribePresenceRequestSchema, { channel });
        open.set(key, await service.subscribe(caller, request, new FakeSink()));
        return "open";
      }
      case "lose":
        return open.get(key)?.closed("lost");
      case "leave":
        return service.leaveChannel(caller, create(pb.LeaveChannelRequestSchema, { channel }));
      case "lease": {
        const joined = await service.joinChannel(caller, create(pb.JoinChannelRequestSchema, { channel }));
        leases.set(key, joined.sessionId);
        return joined.state;
      }
      case "heartbeat": {
        const sessionIds = [leases.get(key) ?? "none"];
        const { expiredSessionIds } = await service.heartbeat(
          caller,
          create(pb.HeartbeatRequestSchema, { sessionIds }),
        );
        return expiredSessionIds.length;
      }
      case "get":
        return service.getState(caller, create(pb.GetStateRequestSchema, { channel, userId: "ann" }));
      case "list":
        return service.listOnlineUsers(
          caller,
          create(pb.ListOnlineUsersRequestSchema, { channel, includeStates: true }),
        );
      case "where":
        return service.listUserChannels(caller, create(pb.ListUserChannelsRequestSchema, { userId: "ann" }));
      case "wait":
        return world.clock.advance(12_000);
    }
  };

  const seen: unknown[] = [];
  for (const one of deeds) {
    const result = await act(one).catch((error: PresenceError) => `${error.reason} ${JSON.stringify(error.metadata)}`);
    await world.settle();
    if (one.app === app) seen.push(comparable(result));
    for (const sink of listeners) seen.push(...sink.told());
  }
  assert.deepEqual(world.errors, []);
  return seen;
}

/** Epochs and the revisions of pending states differ from run to run; nothing else may. */
function comparable(result: unknown): string {
  return JSON.stringify(result, (key, value) => {
    if (key === "epoch") return undefined;
    if (key === "revision" && value >= 2 ** 52) return "pending";
    return typeof value === "bigint" ? String(value) : value;
  });
}

describe("service: two apps never meet (S20)", () => {
  property(
    "whatever others do with the same names, an app sees what it would see alone",
    [fc.array(deed, { minLength: 1, maxLength: 40 }), fc.constantFrom("" as const, "chat" as const)],
    async (deeds, app) => {
      const alone = deeds.filter((one) => one.app === app || one.kind === "wait");
      assert.deepEqual(await seenBy(app, deeds), await seenBy(app, alone));
    },
    { runs: 60 },
  );

  it("S17 S19 a session id and a page token of another app are unknown", async () => {
    const world = new World();
    const [chat, game] = [authenticated("ann", { app: "chat" }), authenticated("ann", { app: "game" })];
    const joins = async (caller: Caller, userId: string) => {
      const many = { ...caller, grant: { ...caller.grant!, actAs: [{ pattern: "*" }] } };
      const request = create(pb.JoinChannelRequestSchema, { channel: room("room"), userId });
      return (await world.service.joinChannel(many, request)).sessionId;
    };
    const sessionId = await joins(chat, "ann");
    await joins(chat, "bob");
    const heartbeat = create(pb.HeartbeatRequestSchema, { sessionIds: [sessionId] });
    assert.deepEqual((await world.service.heartbeat(game, heartbeat)).expiredSessionIds, [sessionId]);
    assert.deepEqual((await world.service.heartbeat(chat, heartbeat)).expiredSessionIds, []);
    // Another user's session of another app is no better known than one that never was.
    const cat = authenticated("cat", { app: "game" });
    assert.deepEqual((await world.service.heartbeat(cat, heartbeat)).expiredSessionIds, [sessionId]);

    const page = create(pb.ListOnlineUsersRequestSchema, { channel: room("room"), pageSize: 1 });
    const { nextPageToken } = await world.service.listOnlineUsers(chat, page);
    const next = { ...page, pageToken: nextPageToken };
    await assert.rejects(world.service.listOnlineUsers(game, next), { reason: "INVALID_PAGE_TOKEN" });
    await assert.rejects(world.service.listOnlineUsers(authenticated("bob", { app: "chat" }), next), {
      reason: "INVALID_PAGE_TOKEN",
    });
    assert.equal((await world.service.listOnlineUsers(chat, next)).users.length, 1);
  });
});
