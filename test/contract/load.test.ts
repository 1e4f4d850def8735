import assert from "node:assert/strict";
import { createPresenceClient, type PresenceClient } from "../../src/client/index.js";
import type { RollcallServer } from "../../src/server/server.js";
import { startTestServer } from "../support/server.js";
import { FakeIo, rollcall } from "../unit/cli/fake_io.js";

describe("rollcall load, against a real server", () => {
  let server: RollcallServer;
  let presence: PresenceClient;

  before(async () => {
    server = await startTestServer();
    presence = createPresenceClient({ address: server.address, userId: "watcher" });
  });

  after(async () => {
    await presence.close();
    await server.close();
  });

  const load = (io: FakeIo, ...flags: string[]) => rollcall(["load", "--address", server.address, ...flags], io);

  it("makes users join, change and hear each other, tells how it went, and leaves nothing behind", async () => {
    const flags = ["--users", "12", "--channels", "3", "--connections", "5", "--rate", "200", "--for", "300ms"];
    const { code, out, err } = await load(new FakeIo(), ...flags, "--user", "short", "--json");
    assert.deepEqual([code, err], [0, []]);
    const { users, channels, joins, updates, deliveries, errors, latency } = JSON.parse(out[0]!);
    assert.deepEqual([users, channels, joins, errors], [12, 3, 12, {}]);
    assert.ok(updates > 0);
    // Four users in each channel, each of whom the three others hear.
    assert.equal(deliveries, updates * 3);
    assert.ok(
      latency.p50 > 0 && latency.p50 <= latency.p90 && latency.p90 <= latency.p99 && latency.p99 <= latency.max,
    );
    for (const i of [0, 1, 2]) assert.equal(await presence.channel(`short-${i}`).count(), 0);
  });

  it("ends at Ctrl-C with its report, and everybody leaves", async () => {
    const watcher = presence.channel("long-0").subscribe({ quiet: true });
    await watcher.ready;
    const io = new FakeIo();
    const running = load(io, "--users", "5", "--for", "10m", "--user", "long");
    for await (const event of watcher) {
      if (event.kind === "state_changed") io.interrupt();
      if (event.kind === "leave" && watcher.members.size === 0) break;
      assert.notEqual(event.kind, "timeout");
    }
    const { code, out } = await running;
    assert.equal(code, 0);
    assert.match(out[0]!, /^joins +5 of 5 users, in 1 channels$/);
  });

  it("counts what was refused by its reason, and fails if nobody can join", async () => {
    const tooLong = "u".repeat(127);
    const { out, code } = await load(
      new FakeIo(),
      "--users",
      "2",
      "--for",
      "100ms",
      "--json",
      "--user",
      "u".repeat(126),
    );
    assert.deepEqual([code, JSON.parse(out[0]!).joins], [0, 2]);
    const refused = await load(new FakeIo(), "--users", "2", "--user", tooLong);
    assert.equal(refused.code, 2);
    assert.match(refused.err[0]!, /^rollcall: INVALID_/);
    const unreachable = await rollcall(["load", "--address", "127.0.0.1:1", "--users", "2"]);
    assert.equal(unreachable.code, 6);
  });

  it("says what is wrong with its flags", async () => {
    for (const [flags, message] of [
      [["--users", "0"], /from 1 to 10000/],
      [["--users", "2.5"], /from 1 to 10000/],
      [["--rate", "-1"], /above 0 and up to 100000/],
      [["--for", "long"], /500ms, 5s or 1m/],
      [["--users", "2", "--channels", "3"], /--channels 3 is more than --users 2/],
    ] as const) {
      const { code, err } = await load(new FakeIo(), ...flags);
      assert.equal(code, 2);
      assert.match(err[0]!, message);
    }
  });
});
