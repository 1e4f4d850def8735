import assert from "node:assert/strict";
import { once } from "node:events";
import { stripVTControlCharacters } from "node:util";
import * as grpc from "@grpc/grpc-js";
import picocolors from "picocolors";
import { eventLines } from "../../../src/cli/event_lines.js";
import { renderFrame } from "../../../src/cli/watch_table.js";
import type { UserState } from "../../../src/client/index.js";
import {
  changed,
  FakeService,
  join,
  leave,
  NOON,
  reasonDetail,
  refusal,
  snapshot,
  subscribed,
  user,
} from "../client/fake_service.js";
import { FakeIo, rollcall } from "./fake_io.js";

const plain = picocolors.createColors(false);
const noon = NOON.toTimeString().slice(0, 8);

describe("watch", () => {
  let service: FakeService;
  let common: string[];

  beforeEach(async () => {
    service = await FakeService.start();
    common = ["--address", service.address, "--user", "anna"];
  });

  afterEach(() => service.stop());

  it("joins with the given state, prints a line an event, and leaves at Ctrl-C with 0", async () => {
    const io = new FakeIo();
    const done = rollcall(["watch", "chat_room", "--set", "a=1", "--set", "b=2", "--include-self", ...common], io);
    const stream = await service.nextStream();
    assert.deepEqual([stream.request.userId, stream.request.quiet, stream.request.includeSelf], ["anna", false, true]);
    assert.deepEqual(stream.request.initialStates, { a: "1", b: "2" });
    stream.send(subscribed(), snapshot(2, [user("anna", { a: "1" }, 2)]));
    stream.send(join(3, "tony"), changed(4, "tony", { Mode: "Happy", Mic: "True" }), leave(5, "tony"));
    await io.stdout.until(/tony left/);
    io.interrupt();
    await stream.cancelled;
    assert.deepEqual(await done, {
      code: 0,
      out: [
        `${noon}  in chat_room as anna`,
        `${noon}  1 online`,
        `${noon}  anna  a=1`,
        `${noon}  tony joined`,
        `${noon}  tony  Mic=True Mode=Happy  (changed Mic, Mode)`,
        `${noon}  tony left`,
      ],
      err: [],
    });
  });

  it("watches unseen with --quiet", async () => {
    const io = new FakeIo();
    const done = rollcall(["watch", "chat_room", "--quiet", ...common], io);
    const stream = await service.nextStream();
    assert.equal(stream.request.quiet, true);
    stream.send(subscribed());
    await io.stdout.until(/watching chat_room unseen/);
    io.interrupt();
    assert.equal((await done).code, 0);
  });

  it("prints an object an event with --json, without the session's id", async () => {
    const io = new FakeIo({ tty: true });
    const done = rollcall(["watch", "chat_room", "--json", ...common], io);
    const stream = await service.nextStream();
    stream.send(subscribed(), snapshot(2, [user("anna")]), join(3, "tony"));
    await io.stdout.until(/"join"/);
    io.interrupt();
    const events = (await done).out.map((line) => JSON.parse(line));
    assert.deepEqual(
      events.map(({ kind }) => kind),
      ["subscribed", "snapshot", "join", "closed"],
    );
    assert.deepEqual(
      events.map((event) => "sessionId" in event),
      [false, false, false, false],
    );
    assert.deepEqual(
      events[1].members.map(({ userId }: UserState) => userId),
      ["anna"],
    );
    assert.deepEqual(events[2], {
      kind: "join",
      position: { epoch: "e1", revision: "3" },
      time: NOON.toISOString(),
      userId: "tony",
      occupancy: 2,
    });
  });

  it("keeps a table on a terminal, and draws it anew when the terminal's size changes", async () => {
    const io = new FakeIo({ tty: true, env: { NO_COLOR: "1" } });
    const done = rollcall(["watch", "chat_room", ...common], io);
    const stream = await service.nextStream();
    stream.send(subscribed(), snapshot(2, [user("anna"), user("tony", { Mode: "Happy" }, 2)]));
    await io.stdout.until(/tony +Mode=Happy/);
    io.stdout.text = "";
    io.resize(60, 30);
    await io.stdout.until(/tony +Mode=Happy/);
    io.interrupt();
    assert.equal((await done).code, 0);
  });

  it("takes 80 columns and 24 lines for a terminal that reports none", async () => {
    const io = new FakeIo({ tty: true, env: { NO_COLOR: "1" } });
    io.resize(0, 0);
    const done = rollcall(["watch", "chat_room", ...common], io);
    const stream = await service.nextStream();
    stream.send(subscribed(), snapshot(2, [user("tony", { Mode: "Happy" }, 2)]));
    await io.stdout.until(/tony +Mode=Happy/);
    io.interrupt();
    assert.equal((await done).code, 0);
  });

  it("leaves, and is content, when nobody reads its output any more", async () => {
    const io = new FakeIo();
    const done = rollcall(["watch", "chat_room", ...common], io);
    const stream = await service.nextStream();
    stream.send(subscribed());
    await io.stdout.until(/in chat_room/);
    io.closing.abort();
    await stream.cancelled;
    assert.deepEqual([(await done).code, io.stderr.text], [0, ""]);
  });

  it("fails after --timeout when the stream does not begin", async () => {
    const { code, err } = await rollcall(["watch", "chat_room", "--timeout", "50ms", ...common]);
    assert.deepEqual([code, err.length], [6, 1]);
  });

  it("is not ended by --timeout once the stream has begun", async () => {
    const io = new FakeIo();
    const done = rollcall(["watch", "chat_room", "--timeout", "400ms", ...common], io);
    const stream = await service.nextStream();
    const timeIsOver = once(AbortSignal.timeout(500), "abort");
    stream.send(subscribed());
    await timeIsOver;
    stream.send(join(3, "tony"));
    await io.stdout.until(/tony joined/);
    io.interrupt();
    assert.equal((await done).code, 0);
  });

  it("redraws the table when the user's own state changes elsewhere, and prints own events only if asked", async () => {
    for (const { flags, tty, pattern, own } of [
      { flags: [], tty: true, pattern: /anna +a=2/, own: true },
      { flags: ["--quiet"], tty: true, pattern: /anna +a=2/, own: true },
      { flags: [], tty: false, pattern: /tony joined/, own: false },
      { flags: ["--json"], tty: false, pattern: /"tony"/, own: false },
      { flags: ["--include-self"], tty: false, pattern: /tony joined/, own: true },
      { flags: ["--quiet"], tty: false, pattern: /tony joined/, own: true },
    ]) {
      const io = new FakeIo({ tty, env: { NO_COLOR: "1" } });
      const done = rollcall(["watch", "chat_room", ...flags, ...common], io);
      const stream = await service.nextStream();
      assert.equal(stream.request.includeSelf, true);
      stream.send(subscribed(), snapshot(2, [user("anna", { a: "1" }, 2)]));
      stream.send(changed(3, "anna", { a: "2" }), join(4, "tony"));
      await io.stdout.until(pattern);
      io.interrupt();
      await done;
      assert.equal(/a=2|"a":"2"/.test(io.stdout.text), own, flags.join(" "));
    }
  });

  const ends: { why: string; status?: Partial<grpc.StatusObject>; code: number; said: RegExp; reason: string }[] = [
    { why: "LeaveChannel", code: 8, said: /session of anna was ended elsewhere/, reason: "ENDED_ELSEWHERE" },
    {
      why: "the user's return elsewhere",
      status: refusal(grpc.status.ABORTED, "somewhere else", [reasonDetail("SAME_USER_REPLACED")]),
      code: 8,
      said: /^rollcall: SAME_USER_REPLACED: somewhere else$/,
      reason: "SAME_USER_REPLACED",
    },
    {
      why: "an expired token",
      status: refusal(grpc.status.UNAUTHENTICATED, "over", [reasonDetail("TOKEN_EXPIRED")]),
      code: 5,
      said: /^rollcall: TOKEN_EXPIRED: over$/,
      reason: "TOKEN_EXPIRED",
    },
    {
      why: "a lost right",
      status: refusal(grpc.status.PERMISSION_DENIED, "no", [reasonDetail("NOT_ALLOWED")]),
      code: 5,
      said: /^rollcall: NOT_ALLOWED: no$/,
      reason: "NOT_ALLOWED",
    },
  ];
  for (const { why, status, code, said, reason } of ends) {
    it(`says that ${why} ended it, with exit code ${code}, and in a last line of JSON`, async () => {
      for (const flags of [[], ["--json"]]) {
        const io = new FakeIo();
        const done = rollcall(["watch", "chat_room", ...flags, ...common], io);
        const stream = await service.nextStream();
        stream.send(subscribed());
        await io.stdout.until(/anna|subscribed/);
        if (status) stream.fail(status);
        else stream.end();
        const result = await done;
        assert.deepEqual([result.code, result.err.length], [code, 1]);
        if (flags.length === 0) assert.match(result.err[0]!, said);
        else {
          const last = JSON.parse(result.out.at(-1)!);
          assert.deepEqual([last.kind, last.reason, last.exitCode], ["closed", reason, code]);
        }
      }
    });
  }

  it("says that the connection is lost, and goes on when it is back", async () => {
    for (const [flags, said] of [
      [[], [/anna$/, /connection lost \(UNAVAILABLE\); trying again in \d\.\d s$/, /anna$/, /tony joined$/]],
      [
        ["--json"],
        [/"subscribed"/, /"kind":"reconnecting".*"attempt":1,"code":"UNAVAILABLE"/, /"subscribed"/, /"tony"/],
      ],
    ] as const) {
      const io = new FakeIo();
      const done = rollcall(["watch", "chat_room", ...flags, ...common], io);
      const stream = await service.nextStream();
      stream.send(subscribed());
      stream.fail({ code: grpc.status.UNAVAILABLE });
      const next = await service.nextStream();
      next.send(subscribed(2, { resumed: true }), join(3, "tony"));
      await io.stdout.until(/tony/);
      io.interrupt();
      const { code, out } = await done;
      assert.equal(code, 0);
      assert.equal(out.filter((line) => !line.includes('"closed"')).length, said.length);
      for (const [n, pattern] of said.entries()) assert.match(out[n]!, pattern);
    }
  });
});

describe("eventLines", () => {
  const watch = { channel: "chat_room", user: "anna", quiet: false };
  const base = { position: { epoch: "e", revision: 1n }, time: NOON };

  it("tells an interval in the contract's order", () => {
    const changed = [{ userId: "d", states: { a: "1" }, revision: 1n }];
    const event = {
      ...base,
      kind: "interval" as const,
      joined: ["d"],
      left: ["a"],
      timedOut: ["b"],
      changed,
      occupancy: 1,
    };
    assert.deepEqual(
      eventLines(event, watch, plain).map((line) => line.slice(10)),
      ["a left", "b timed out", "d joined", "d  a=1"],
    );
  });

  it("is safe to print, whatever the ids and states are", () => {
    const evil = "\u001b]0;pwned\u0007";
    const state = { userId: evil, states: { [evil]: evil }, revision: 1n };
    const keys = { changedKeys: [evil], removedKeys: [evil] };
    const lines = [
      ...eventLines({ ...base, kind: "join", userId: evil, occupancy: 1 }, watch, plain),
      ...eventLines({ ...base, kind: "state_changed", userId: evil, state, ...keys }, watch, plain),
      ...eventLines({ ...base, kind: "snapshot", members: new Map([[evil, state]]), occupancy: 1 }, watch, plain),
      ...eventLines({ ...base, kind: "out_of_service", description: evil }, watch, plain),
    ];
    for (const line of lines) assert.doesNotMatch(line, /\p{Cc}/u);
  });
});

describe("renderFrame", () => {
  const watch = { channel: "chat_room", user: "anna", quiet: false };
  const crowd = (count: number): Map<string, UserState> =>
    new Map(
      Array.from({ length: count }, (_, n) => [
        `user-${n}`,
        { userId: `user-${n}`, states: { n: `${n}`.repeat(50) }, revision: 1n, joinTime: NOON },
      ]),
    );
  const draw = (count: number, columns: number, rows: number, log: string[] = []): string[] =>
    renderFrame({ watch, members: crowd(count), log, columns, rows, colors: plain, live: true }).split("\n");

  it("shows user, state and since when, and what happened last", () => {
    const lines = draw(2, 80, 24, ["first", "second"]);
    assert.match(lines[0]!, /^chat_room {2}2 online, you are anna/);
    assert.ok(lines.some((line) => line.startsWith("user-1") && line.includes("n=1111") && line.includes(noon)));
    assert.ok(lines.indexOf("second") === lines.indexOf("first") + 1);
  });

  it("never is larger than the terminal, and says how many are not shown", () => {
    const log = Array.from({ length: 8 }, (_, n) => `event ${n} ${"x".repeat(200)}`);
    for (const [columns, rows] of [
      [80, 24],
      [40, 12],
      [200, 60],
      [30, 8],
    ] as const) {
      for (const count of [0, 1, 5, 1000]) {
        const lines = draw(count, columns, rows, log);
        assert.ok(lines.length < rows, `${lines.length} lines in ${rows} rows for ${count}`);
        for (const line of lines) assert.ok(line.length <= columns, `${line.length} in ${columns}: ${line}`);
      }
    }
    assert.ok(draw(1000, 80, 24).some((line) => /^and \d+ more$/.test(line)));
  });

  it("fits in every terminal, and never wraps", () => {
    const members = new Map(
      ["anna", "托尼托尼托尼托尼", "👋🏽".repeat(20), "x".repeat(128), ""].map((userId) => [
        userId,
        { userId, states: { Mood: "так себе ".repeat(20), 键: "值" }, revision: 1n, joinTime: NOON },
      ]),
    );
    const wide = /[\p{sc=Han}\p{Extended_Pictographic}\p{Emoji_Modifier}]/u;
    const stringWidth = (line: string): number =>
      [...stripVTControlCharacters(line)].reduce((width, character) => width + (wide.test(character) ? 2 : 1), 0);
    const log = ["\u001b[31mred\u001b[39m ".repeat(20), "托尼".repeat(60)];
    const colors = picocolors.createColors(true);
    for (let columns = 0; columns <= 100; columns++) {
      for (let rows = 0; rows <= 30; rows++) {
        const lines = renderFrame({ watch, members, log, columns, rows, colors, live: true }).split("\n");
        assert.ok(lines.length <= Math.max(1, rows - 1), `${lines.length} lines in ${columns}x${rows}`);
        for (const line of lines) assert.ok(stringWidth(line) <= columns, `${columns}x${rows}: ${line}`);
      }
    }
  });

  it("makes room for names that are wide", () => {
    const name = "托尼托尼托尼";
    const members = new Map([[name, { userId: name, states: {}, revision: 1n, joinTime: NOON }]]);
    assert.ok(
      renderFrame({ watch, members, log: [], columns: 80, rows: 24, colors: plain, live: true }).includes(name),
    );
  });

  it("is safe to draw, whatever ids and states are", () => {
    const evil = "\u001b[2J";
    const members = new Map([[evil, { userId: evil, states: { [evil]: evil }, revision: 1n, joinTime: NOON }]]);
    const frame = renderFrame({ watch, members, log: [], columns: 80, rows: 24, colors: plain, live: true });
    assert.ok(!frame.includes("\u001b"));
    assert.ok(frame.includes("\\x1b[2J"));
  });
});
