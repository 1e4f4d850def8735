import assert from "node:assert/strict";
import fc from "fast-check";
import type { Command } from "../../src/channel/command.js";
import type { AppUsage } from "../../src/engine/engine.js";
import type { ChannelId } from "../../src/model/channel_id.js";
import { PresenceError } from "../../src/model/errors.js";
import { property } from "../support/property.js";
import { Bench, joining, type MakeEngine, setting } from "./fixture.js";

const NOTHING: AppUsage = { channels: 0, members: 0, pending: 0, streams: 0, bytes: 0, logBytes: 0 };
const inApp = (app: string, name = "room"): ChannelId => ({ type: 1, name, app });

/** What apps take. */
export function usageTests(makeEngine: MakeEngine): void {
  it("counts what each app takes, and nothing once it is forgotten", async () => {
    const bench = await Bench.of(makeEngine);
    const { engine } = bench;
    assert.deepEqual(await engine.usage("chat"), NOTHING);
    await bench.join(inApp("chat"), "ann", { mood: "fine" });
    await bench.join(inApp("chat"), "ann");
    await bench.do(inApp("chat"), "bob", setting({ mood: "pending" }));
    await bench.join(inApp("chat", "other"), "ann");
    await bench.join(inApp("game"), "ann");
    const { bytes, logBytes, ...counts } = await engine.usage("chat");
    assert.deepEqual(counts, { channels: 2, members: 3, pending: 1, streams: 3 });
    assert.ok(logBytes > 0 && bytes > logBytes);
    assert.deepEqual([...engine.usages().keys()].sort(), ["chat", "game"]);
    await bench.set(inApp("chat"), "ann", { mood: "x".repeat(1000) });
    const larger = await engine.usage("chat");
    const log = larger.logBytes - logBytes;
    assert.equal(larger.bytes - bytes - log, 1000 - "fine".length, "the state's own growth");
    assert.ok(log >= 1000, "and that of the log");

    for (const channel of [inApp("chat"), inApp("chat", "other")]) await bench.leave(channel, "ann");
    await bench.do(inApp("chat"), "bob", { kind: "remove", keys: [] });
    const { bytes: left, logBytes: leftInLogs, ...kept } = await engine.usage("chat");
    assert.deepEqual(kept, { channels: 2, members: 0, pending: 0, streams: 0 });
    assert.ok(left > leftInLogs && leftInLogs > 0, "channels that may be resumed");
    await bench.pass(60_000);
    assert.deepEqual(await engine.usage("chat"), NOTHING);
    assert.deepEqual([...engine.usages().keys()], ["game"]);
  });

  const users = ["a", "b", "c"];
  const step = fc.record({
    app: fc.constantFrom("", "chat"),
    room: fc.constantFrom("x", "y"),
    userId: fc.constantFrom(...users),
    kind: fc.constantFrom("join", "leave", "set", "remove", "detach", "wait"),
    size: fc.integer({ min: 0, max: 300 }),
  });

  property(
    "counts what a walk over all members would, whatever happened",
    [fc.array(step, { maxLength: 60 })],
    async (steps) => {
      const bench = await Bench.of(makeEngine, { resumeTtlMs: 1000 });
      const { engine } = bench;
      let sessions = 0;
      const known = new Set<string>();
      for (const { app, room, userId, kind, size } of steps) {
        const channel = inApp(app, room);
        if (kind === "wait") {
          await bench.pass(1000);
          continue;
        }
        known.add(`${app} ${room}`);
        const commands: Record<string, Command> = {
          join: joining(`s${++sessions}`, { x: "y".repeat(size) }),
          leave: { kind: "leave", sessionId: undefined, attachment: undefined },
          set: setting({ [`k${size % 3}`]: "y".repeat(size) }),
          remove: { kind: "remove", keys: ["k1"] },
          detach: { kind: "detach", sessionId: `s${sessions}`, attachment: 0 },
        };
        try {
          await bench.do(channel, userId, commands[kind]!);
        } catch (error) {
          if (!(error instanceof PresenceError)) throw error;
        }
      }
      for (const app of ["", "chat"]) {
        const usage = await engine.usage(app);
        const counted = { members: 0, pending: 0, streams: 0 };
        for (const userId of users) {
          for (const { member } of await engine.placesOf(app, userId)) {
            counted.members += 1;
            counted.pending += Number(member.pending !== undefined);
            counted.streams += member.sessions.length;
          }
        }
        const { members, pending, streams } = usage;
        assert.deepEqual({ members, pending, streams }, counted);
        assert.ok(usage.bytes >= usage.logBytes && usage.logBytes >= 0);
        for (const userId of users) {
          for (const { channel, member } of await engine.placesOf(app, userId)) {
            if (member.sessions.length > 0) await bench.leave(channel, userId);
            if (member.pending) await bench.do(channel, userId, { kind: "remove", keys: [] });
          }
        }
      }
      await bench.pass(1000);
      for (const app of ["", "chat"]) assert.deepEqual(await engine.usage(app), NOTHING);
    },
  );
}
