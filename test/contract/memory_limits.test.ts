import assert from "node:assert/strict";
import { setTimeout as sleep } from "node:timers/promises";
import { connect, message } from "../support/calls.js";
import { refusalOf } from "../support/refusal.js";
import { ServerUnderTest } from "../support/server_under_test.js";

const MIB = 1024 * 1024;
/** A state of nearly the largest size, different each time. */
const large = (i: number) =>
  Object.fromEntries([0, 1, 2, 3].map((key) => [`k${key}`, `${i} ${"x".repeat(4000)}`.slice(0, 4000)]));

describe("contract: memory is bounded", () => {
  let server: ServerUnderTest;
  let backend: ReturnType<typeof connect>;
  const opened: ReturnType<typeof connect>[] = [];

  function connection(userId?: string) {
    const one = connect(server.address, userId);
    opened.push(one);
    return one;
  }

  async function start(...args: Parameters<typeof ServerUnderTest.start>): Promise<void> {
    server = await ServerUnderTest.start(...args);
    backend = connection();
  }

  afterEach(async () => {
    for (const { channel } of opened.splice(0)) channel.close();
    await server.stop();
  });

  it("refuses new state long before the heap limit, and takes it again when there is room", async () => {
    await start({ resumeTtl: 0, presenceTimeout: 300_000, leaseTtl: 300_000 }, ["--max-old-space-size=160"]);
    const early = connection("early").client;
    const { sessionId } = await early.joinChannel({ channel: message("room"), initialStates: { mood: "fine" } });
    const stream = connection("streaming");
    const iterator = stream.client.subscribePresence({ channel: message("room") })[Symbol.asyncIterator]();
    const { value } = await iterator.next();
    assert.equal(value?.events[0]?.event?.case, "subscribed");

    // Names of users that a back end makes up, each with as much state as a user may have.
    let users = 0;
    let refused = 0;
    while (refused === 0) {
      assert.ok(users < 40_000, "never refused");
      const requests = Array.from({ length: 50 }, () => ({
        channel: message("room"),
        userId: `made up ${users}`,
        initialStates: large(users++),
      }));
      const { results } = await backend.client.batchJoinChannel({ requests });
      refused = results.filter(({ result }) => result.case === "error").length;
    }
    const limit = await server.gauge("rollcall_memory_limit_bytes");
    const used = await server.gauge("rollcall_memory_used_bytes");
    assert.ok(limit > 90 * MIB && limit < 100 * MIB, `a limit of ${limit}`);
    // What a request brings counts too, while it is carried out.
    assert.ok(used > limit * 0.9 && used < limit * 1.2, `${used} bytes in use of ${limit}`);

    const refusal = await refusalOf(early.setState({ channel: message("room"), states: { more: "state" } }));
    assert.deepEqual([refusal.code, refusal.reason, refusal.retryDelay], ["UNAVAILABLE", "SERVER_OVERLOADED", 2]);
    const other = connection("other").client;
    const opening = other
      .subscribePresence({ channel: message("room") })
      [Symbol.asyncIterator]()
      .next();
    assert.equal((await refusalOf(opening)).reason, "SERVER_OVERLOADED");
    assert.equal((await refusalOf(other.joinChannel({ channel: message("elsewhere") }))).reason, "SERVER_OVERLOADED");

    assert.deepEqual((await early.heartbeat({ sessionIds: [sessionId] })).expiredSessionIds, []);
    await early.setState({ channel: message("room"), states: { mood: "ok" } });
    await early.removeState({ channel: message("room"), keys: ["mood"] });
    stream.channel.close();
    const subscribed = value.events[0].event.value as { sessionId: string };
    const back = connection("streaming").client.subscribePresence({
      channel: message("room"),
      sessionId: subscribed.sessionId,
      withPresence: false,
    });
    const [first] = (await back[Symbol.asyncIterator]().next()).value!.events;
    assert.ok(first.event.case === "subscribed" && first.event.value.resumed, "a return");
    await early.leaveChannel({ channel: message("room") });

    for (let from = 0; from < users; from += 500) {
      const leaving = Array.from({ length: Math.min(500, users - from) }, (_, i) =>
        backend.client.leaveChannel({ channel: message("room"), userId: `made up ${from + i}` }).catch(() => {}),
      );
      await Promise.all(leaving);
    }
    await early.joinChannel({ channel: message("room"), initialStates: large(0) });
    assert.ok((await server.gauge("rollcall_memory_used_bytes")) < limit * 0.9);
  });

  it("keeps an app within its quota of bytes, whose histories give way", async () => {
    const quota = 4 * MIB;
    const resumeTtl = 500;
    await start({ appMaxBytes: quota, resumeTtl });
    const users = ["a", "b"];
    const rooms = Array.from({ length: 40 }, (_, i) => message(`room ${i}`));
    await Promise.all(
      users.flatMap((userId) => rooms.map((channel) => backend.client.joinChannel({ channel, userId }))),
    );
    /** One write in each room: 640 KiB of history in all. */
    const write = (round: number) =>
      Promise.all(
        rooms.map((channel) => backend.client.setState({ channel, userId: users[round % 2]!, states: large(round) })),
      );
    // So that the code is compiled and the connection has its buffers before memory is weighed.
    for (let round = 0; round < 4; round++) await write(round);
    const before = await server.memory();
    for (let round = 4; round < 24; round++) await write(round);
    const usage = await server.gauge('rollcall_app_usage{app="",quota="bytes"}');
    assert.ok(usage > quota / 2 && usage <= quota, `${usage} bytes of ${quota}`);
    const more = await server.memoryBeyond(before, quota);
    assert.ok(more < quota, `${more} bytes more than before`);

    await Promise.all(
      users.flatMap((userId) => rooms.map((channel) => backend.client.leaveChannel({ channel, userId }))),
    );
    while ((await server.gauge("rollcall_channels")) > 0) await sleep(20);
    const left = await server.memoryBeyond(before, 4 * MIB);
    assert.ok(left < 4 * MIB, `${left} bytes left`);
  });

  it("refuses what is beyond a quota, with the quota and its limit", async () => {
    await start({ appMaxMembers: 2 });
    await connection("ann").client.joinChannel({ channel: message("room") });
    await connection("ann").client.joinChannel({ channel: message("other") });
    const refusal = await refusalOf(connection("bob").client.joinChannel({ channel: message("room") }));
    assert.deepEqual([refusal.code, refusal.reason], ["RESOURCE_EXHAUSTED", "QUOTA_EXCEEDED"]);
    assert.deepEqual({ ...refusal.info!.metadata }, { quota: "members", limit: "2" });
    assert.equal(await server.gauge('rollcall_app_usage{app="",quota="members"}'), 2);
  });
});
