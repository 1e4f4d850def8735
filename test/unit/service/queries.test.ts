import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import * as pb from "../../../gen/presence/v1/presence_service_pb.js";
import { refusal, room, World } from "./world.js";

const CALLER = { userId: "anybody" };

describe("service: queries (S19)", () => {
  let world: World;
  beforeEach(() => {
    world = new World();
  });
  afterEach(() => {
    assert.deepEqual(world.errors, []);
  });

  function onlineUsers(init = {}) {
    const request = create(pb.ListOnlineUsersRequestSchema, { channel: room("room"), ...init });
    return world.service.listOnlineUsers(CALLER, request);
  }

  function userChannels(userId: string, init = {}) {
    return world.service.listUserChannels(CALLER, create(pb.ListUserChannelsRequestSchema, { userId, ...init }));
  }

  it("S19 lists ids and times of joining, with states where that is asked for, without joining", async () => {
    await world.subscribe("ann", { initialStates: { mood: "fine" } });
    await world.subscribe("bob");
    const plain = await onlineUsers();
    assert.deepEqual(
      plain.users.map(({ userId, states, joinTime }) => [userId, { ...states }, joinTime !== undefined]),
      [
        ["ann", {}, true],
        ["bob", {}, true],
      ],
    );
    assert.deepEqual([plain.totalSize, plain.nextPageToken, plain.position!.revision], [2, "", 3n]);
    const full = await onlineUsers({ includeStates: true });
    assert.deepEqual(
      full.users.map(({ states, revision }) => [{ ...states }, revision]),
      [
        [{ mood: "fine" }, 2n],
        [{}, 0n],
      ],
    );
    assert.equal(world.memory.stats().sessions, 2);
  });

  it("S19 counts without listing", async () => {
    await world.subscribe("ann");
    const { users, totalSize, nextPageToken, position } = await onlineUsers({ countOnly: true });
    assert.deepEqual([users, totalSize, nextPageToken, position!.revision], [[], 1, "", 1n]);
  });

  it("S19 knows a channel in which nobody is, and keeps nothing of the question", async () => {
    const { users, totalSize, position } = await onlineUsers();
    assert.deepEqual([users, totalSize, position!.revision], [[], 0, 0n]);
    assert.equal(world.memory.stats().channels, 0);
  });

  it("S19 lists in pages of 100, or as asked, of 1000 at most", async () => {
    world = new World();
    for (let i = 0; i < 1001; i++) await world.service.joinChannel({ userId: `user ${i}` }, joinRequest());
    const pageSizes = async (pageSize: number) => (await onlineUsers({ pageSize })).users.length;
    assert.equal(await pageSizes(0), 100);
    assert.equal(await pageSizes(7), 7);
    assert.equal(await pageSizes(5000), 1000);
    const listed: string[] = [];
    let pageToken = "";
    do {
      const page = await onlineUsers({ pageSize: 300, pageToken });
      listed.push(...page.users.map(({ userId }) => userId));
      pageToken = page.nextPageToken;
    } while (pageToken !== "");
    assert.deepEqual(
      listed,
      [...Array(1001).keys()].map((i) => `user ${i}`),
    );
  });

  function joinRequest(channel = room("room")) {
    return create(pb.JoinChannelRequestSchema, { channel });
  }

  it("S19 neither repeats nor skips those who stay while others come, go, and change", async () => {
    for (const userId of ["a", "b", "c", "d", "e"]) await world.joinLease(userId);
    const first = await onlineUsers({ pageSize: 2 });
    await world.leave("a");
    await world.leave("c");
    await world.set("b", { mood: "fine" });
    await world.set("d", { mood: "fine" });
    await world.joinLease("a");
    const second = await onlineUsers({ pageSize: 2, pageToken: first.nextPageToken });
    const third = await onlineUsers({ pageSize: 2, pageToken: second.nextPageToken });
    const ids = [first, second, third].map(({ users }) => users.map(({ userId }) => userId));
    assert.deepEqual(ids, [["a", "b"], ["d", "e"], ["a"]]);
    assert.equal(third.nextPageToken, "");
  });

  it("S19 begins again where the channel has begun another life", async () => {
    for (const userId of ["a", "b", "c"]) await world.joinLease(userId);
    const { nextPageToken } = await onlineUsers({ pageSize: 2 });
    await world.pass(30_000);
    await world.pass(60_000);
    await world.joinLease("d");
    const page = await onlineUsers({ pageSize: 2, pageToken: nextPageToken });
    assert.deepEqual(
      page.users.map(({ userId }) => userId),
      ["d"],
    );
  });

  it("S19 refuses a token of another channel, of the other query, or of nobody", async () => {
    for (const userId of ["a", "b"]) {
      for (const name of ["room", "other"]) await world.joinLease(userId, { channel: room(name) });
    }
    const ofUsers = (await onlineUsers({ pageSize: 1 })).nextPageToken;
    const ofChannels = (await userChannels("a", { pageSize: 1 })).nextPageToken;
    assert.ok(ofUsers !== "" && ofChannels !== "");
    await onlineUsers({ pageToken: ofUsers, includeStates: true });
    await refusal("INVALID_PAGE_TOKEN", () => onlineUsers({ pageToken: ofUsers, channel: room("other") }));
    await refusal("INVALID_PAGE_TOKEN", () => onlineUsers({ pageToken: ofUsers, channel: { type: 2, name: "room" } }));
    await refusal("INVALID_PAGE_TOKEN", () => onlineUsers({ pageToken: ofChannels }));
    await refusal("INVALID_PAGE_TOKEN", () => onlineUsers({ pageToken: "made up" }));
    await refusal("INVALID_PAGE_TOKEN", () => onlineUsers({ pageToken: "made up", countOnly: true }));
    await refusal("INVALID_PAGE_TOKEN", () => userChannels("a", { pageToken: ofUsers }));
    await refusal("INVALID_PAGE_TOKEN", () => userChannels("b", { pageToken: ofChannels }));
  });

  const idsOf = ({ users }: pb.ListOnlineUsersResponse) => users.map(({ userId }) => userId);

  it("S19 says which of these are here: in the order asked, each once, whatever it asks for", async () => {
    for (const userId of ["a", "b", "c", "d"])
      await world.joinLease(userId, { initialStates: { even: String("bd".includes(userId)) } });
    await world.set("pending", { even: "true" });
    await world.subscribe("quiet", { quiet: true });
    const userIds = ["d", "nobody", "a", "d", "pending", "quiet", "__proto__", "b"];
    const all = await onlineUsers({ userIds });
    assert.deepEqual([idsOf(all), all.totalSize, all.nextPageToken], [["d", "a", "b"], 4, ""]);
    assert.deepEqual({ ...all.users[0]!.states }, {});
    const even = await onlineUsers({ userIds, states: { even: "true" }, includeStates: true });
    assert.deepEqual(idsOf(even), ["d", "b"]);
    assert.deepEqual({ ...even.users[0]!.states }, { even: "true" });
    const count = async (init: object) => (await onlineUsers({ ...init, countOnly: true })).totalSize;
    assert.deepEqual([await count({ userIds }), await count({ userIds, states: { even: "true" } })], [3, 2]);
    assert.deepEqual([await count({ states: { even: "false" } }), await count({})], [2, 4]);
  });

  it("S19 asks the engine for no more than the users that it is asked for", async () => {
    const asked: string[] = [];
    const forbidden = () => assert.fail("the whole channel was walked");
    world = new World({
      wrap: (engine) =>
        Object.create(engine, {
          read: { value: (channel: never, userId: string) => asked.push(userId) && engine.read(channel, userId) },
          summary: { value: engine.summary.bind(engine) },
          ...Object.fromEntries(["page", "count", "snapshot"].map((name) => [name, { value: forbidden }])),
        }),
    });
    await onlineUsers({ userIds: ["a", "b", "a"] });
    await onlineUsers({ userIds: ["a", "b", "a"], countOnly: true });
    await onlineUsers({ countOnly: true });
    assert.deepEqual(asked, ["a", "b", "a", "b"]);
  });

  it("S19 pages through those who pass a filter, and through those who were asked for", async () => {
    for (const userId of ["a", "b", "c", "d", "e", "f"]) {
      await world.joinLease(userId, { initialStates: { even: String("bdf".includes(userId)) } });
    }
    const userIds = ["f", "nobody", "d", "c", "a", "nobody else"];
    for (const [filter, pages] of [
      [{ states: { even: "true" } }, [["b", "d"], ["f"]]],
      [
        { userIds },
        [
          ["f", "d"],
          ["c", "a"],
        ],
      ],
      [{ userIds, states: { even: "false" } }, [["c", "a"]]],
    ] as const) {
      const got: string[][] = [];
      let pageToken = "";
      do {
        const page = await onlineUsers({ ...filter, pageSize: 2, pageToken });
        got.push(idsOf(page));
        pageToken = page.nextPageToken;
      } while (pageToken !== "");
      assert.deepEqual(got, pages);
    }
  });

  it("S19 refuses a token that belongs to another filter, and takes one for the same in another order", async () => {
    for (const userId of ["a", "b", "c"]) await world.joinLease(userId, { initialStates: { x: "1", y: "2" } });
    const filters = [
      {},
      { states: { x: "1", y: "2" } },
      { states: { x: "1" } },
      { userIds: ["a", "b", "c"] },
      { userIds: ["b", "a", "c"] },
      { userIds: ["a", "b", "c"], states: { x: "1" } },
    ];
    for (const given of filters) {
      const { nextPageToken: pageToken } = await onlineUsers({ ...given, pageSize: 1 });
      assert.notEqual(pageToken, "");
      for (const other of filters) {
        if (other === given) await onlineUsers({ ...other, pageToken });
        else await refusal("INVALID_PAGE_TOKEN", () => onlineUsers({ ...other, pageToken }));
      }
    }
    const { nextPageToken: pageToken } = await onlineUsers({ states: { x: "1", y: "2" }, pageSize: 1 });
    assert.deepEqual(idsOf(await onlineUsers({ states: { y: "2", x: "1" }, pageToken })), ["b", "c"]);
  });

  it("S7 S19 lists where a user is present, by type and name, with its state there", async () => {
    await world.joinLease("ann", { channel: { type: 2, name: "a" } });
    await world.joinLease("ann", { channel: room("z"), initialStates: { mood: "fine" } });
    await world.joinLease("ann", { channel: room("é") });
    await world.joinLease("bob", { channel: room("b") });
    await world.set("ann", { mood: "pending" }, { channel: room("pending") });
    await world.subscribe("ann", { channel: room("quiet"), quiet: true });
    const { channels, nextPageToken } = await userChannels("ann");
    assert.deepEqual(
      channels.map(({ channel, state }) => [channel!.type, channel!.name, { ...state!.states }]),
      [
        [1, "z", { mood: "fine" }],
        [1, "é", {}],
        [2, "a", {}],
      ],
    );
    assert.equal(nextPageToken, "");
    assert.deepEqual((await userChannels("nobody")).channels, []);
  });

  it("S19 lists a user's channels in pages, without repeating or skipping one that stays", async () => {
    for (const name of ["a", "b", "c", "d", "e"]) await world.joinLease("ann", { channel: room(name) });
    const first = await userChannels("ann", { pageSize: 2 });
    await world.leave("ann", { channel: room("b") });
    await world.leave("ann", { channel: room("c") });
    await world.joinLease("ann", { channel: room("aa") });
    const second = await userChannels("ann", { pageSize: 2, pageToken: first.nextPageToken });
    const names = [first, second].map(({ channels }) => channels.map(({ channel }) => channel!.name));
    assert.deepEqual(names, [
      ["a", "b"],
      ["d", "e"],
    ]);
    assert.equal(second.nextPageToken, "");
  });

  it("S20 asks about the caller where no user is named", async () => {
    await world.joinLease(CALLER.userId);
    assert.equal((await userChannels("")).channels.length, 1);
    const nobody = () =>
      world.service.listUserChannels({ userId: undefined }, create(pb.ListUserChannelsRequestSchema));
    await assert.rejects(async () => nobody(), { reason: "INVALID_USER_ID" });
  });
});
