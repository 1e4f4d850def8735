import assert from "node:assert/strict";
import { setImmediate as turn } from "node:timers/promises";
import { create } from "@bufbuild/protobuf";
import * as pb from "../../../gen/presence/v1/presence_service_pb.js";
import { type Engine, SLICE_USERS } from "../../../src/engine/engine.js";
import type { ChannelId } from "../../../src/model/channel_id.js";
import type { States } from "../../../src/model/user_state.js";
import { Turns } from "../../../src/service/turns.js";
import { ratesOff } from "./rates.js";
import { refusal, room, World, type WorldOptions } from "./world.js";

/** A filter as expensive as the contract allows, which every user passes but each 1000th. */
const PAIRS = Object.fromEntries(Array.from({ length: 32 }, (_, i) => [`key${i}`, "value"]));
const USERS = 5 * SLICE_USERS;

/** Each slice that the engine examined, with the turn of the event loop in which it did. */
interface Examined {
  readonly users: number;
  readonly turn: number;
}

describe("service: queries that examine many users", () => {
  let turns = 0;
  let counting = false;
  let slices: Examined[] = [];
  let world: World;

  function recorded(engine: Engine): Engine {
    const record = <Slice extends { readonly examined: number }>(slice: Slice): Slice => {
      slices.push({ users: slice.examined, turn: turns });
      return slice;
    };
    return Object.assign(Object.create(engine) as Engine, {
      ...Object.fromEntries(
        ["read", "commit", "summary", "placesOf", "stats"].map((name) => [name, engine[name as "read"].bind(engine)]),
      ),
      page: async (channel: ChannelId, after: number, limit: number, states: States) =>
        record(await engine.page(channel, after, limit, states)),
      count: async (channel: ChannelId, after: number, states: States) =>
        record(await engine.count(channel, after, states)),
    });
  }

  async function countTurns(): Promise<void> {
    while (counting) {
      await turn();
      turns += 1;
    }
  }

  async function crowd(options: WorldOptions = {}): Promise<void> {
    world = new World({ wrap: recorded, ...options });
    const requests = Array.from({ length: USERS }, (_, i) => ({
      channel: room("room"),
      userId: `u${i}`,
      initialStates: i % SLICE_USERS === 999 ? { ...PAIRS, key31: "other" } : PAIRS,
    }));
    for (let from = 0; from < USERS; from += 1000) {
      const batch = create(pb.BatchJoinChannelRequestSchema, { requests: requests.slice(from, from + 1000) });
      await world.service.batchJoinChannel({ userId: undefined }, batch);
    }
  }

  beforeEach(() => {
    turns = 0;
    slices = [];
    counting = true;
    void countTurns();
  });
  afterEach(() => {
    counting = false;
    assert.deepEqual(world.errors, []);
  });

  function ask(init = {}, userId = "asker") {
    const request = create(pb.ListOnlineUsersRequestSchema, { channel: room("room"), ...init });
    return world.service.listOnlineUsers({ userId }, request);
  }

  /** That no turn examined more than one slice beside those that began in it. */
  function assertSliced(began = 1): void {
    for (const { users } of slices) assert.ok(users <= SLICE_USERS, `${users} users in one call of the engine`);
    const later = slices.slice(began).map((slice) => slice.turn);
    assert.equal(new Set(later).size, later.length, `slices in turns ${later}`);
  }

  it("counts the users of a filter in slices of a turn each", async () => {
    await crowd();
    assert.equal((await ask({ states: PAIRS, countOnly: true })).totalSize, USERS - 5);
    assert.equal(
      slices.reduce((sum, { users }) => sum + users, 0),
      USERS,
    );
    assert.equal(slices.length, 5);
    assertSliced();
  });

  it("does one slice a turn for all queries together", async () => {
    await crowd();
    const answers = await Promise.all([1, 2, 3].map((i) => ask({ states: PAIRS, countOnly: true }, `asker${i}`)));
    for (const { totalSize } of answers) assert.equal(totalSize, USERS - 5);
    assertSliced(3);
  });

  it("fills a page in slices, with the position at the beginning", async () => {
    await crowd();
    const asking = ask({ states: { key31: "other" }, pageSize: 3 });
    await turn();
    await world.joinLease("late", { initialStates: { key31: "other" } });
    const page = await asking;
    assert.deepEqual(
      page.users.map(({ userId }) => userId),
      ["u999", "u1999", "u2999"],
    );
    assert.deepEqual([page.position!.revision, page.totalSize], [BigInt(2 * USERS), USERS]);
    assertSliced();
    const rest = await ask({ states: { key31: "other" }, pageSize: 3, pageToken: page.nextPageToken });
    assert.deepEqual(
      rest.users.map(({ userId }) => userId),
      ["u3999", "u4999", "late"],
    );
    assert.equal(rest.nextPageToken, "");
  });

  it("begins a page again, and ends a count, where the channel begins another life meanwhile", async () => {
    const rebirth = async (): Promise<void> => {
      await world.pass(30_000);
      await world.pass(60_000);
      await world.joinLease("phoenix", { initialStates: PAIRS });
    };
    await crowd({ wrap: (engine) => delayedOnce(recorded(engine), rebirth) });
    const page = await ask({ states: { key31: "other" } });
    assert.deepEqual(page.users, []);
    assert.equal(page.totalSize, 1);
    await crowd({ wrap: (engine) => delayedOnce(recorded(engine), rebirth) });
    assert.ok((await ask({ states: PAIRS, countOnly: true })).totalSize < USERS);
  });

  /** Before the second slice, waits for `happens`. */
  function delayedOnce(engine: Engine, happens: () => Promise<void>): Engine {
    let calls = 0;
    const late = async <Slice>(examine: () => Slice): Promise<Awaited<Slice>> => {
      if (++calls === 2) await happens();
      return await examine();
    };
    const { page, count } = engine;
    return Object.assign(engine, {
      page: (...args: Parameters<Engine["page"]>) => late(() => page(...args)),
      count: (...args: Parameters<Engine["count"]>) => late(() => count(...args)),
    });
  }

  it("charges a count for the users that it examines, before it begins", async () => {
    await crowd({ settings: { rates: ratesOff({ rateLimit: 1, rateBurst: 5 }) } });
    const count = () => ask({ states: PAIRS, countOnly: true });
    await count();
    await count();
    const examined = slices.length;
    const error = await refusal("RATE_LIMITED", count);
    assert.equal(error.retryAfterMs, 3000, "5 tokens, less 4 slices twice, are 3 below zero");
    assert.equal(slices.length, examined, "nothing is examined for a refused count");
    await world.pass(3000);
    assert.equal((await count()).totalSize, USERS - 5);
  });

  it("gives a caller that cannot pay for another slice the page as it is, and a token", async () => {
    await crowd({ settings: { rates: ratesOff({ rateLimit: 1, rateBurst: 1 }) } });
    const page = await ask({ states: { key31: "other" } });
    assert.deepEqual(
      page.users.map(({ userId }) => userId),
      ["u999", "u1999", "u2999"],
    );
    assert.notEqual(page.nextPageToken, "");
    await world.pass(2000);
    const rest = await ask({ states: { key31: "other" }, pageToken: page.nextPageToken });
    assert.deepEqual(
      rest.users.map(({ userId }) => userId),
      ["u3999", "u4999"],
    );
  });

  it("gives waiting queries their turns in the order in which they asked", async () => {
    world = new World();
    const queue = new Turns(setImmediate);
    const order: string[] = [];
    const query = async (name: string, sliceCount: number): Promise<void> => {
      for (let i = 0; i < sliceCount; i++) {
        await queue.next();
        order.push(name);
      }
    };
    await Promise.all([query("long", 3), query("short", 1)]);
    assert.deepEqual(order, ["long", "short", "long", "long"]);
  });
});
