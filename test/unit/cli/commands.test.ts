import assert from "node:assert/strict";
import { create } from "@bufbuild/protobuf";
import { anyPack } from "@bufbuild/protobuf/wkt";
import * as grpc from "@grpc/grpc-js";
import { BadRequestSchema, ErrorInfoSchema, RetryInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { ChannelType } from "../../../gen/presence/v1/presence_pb.js";
import { at, FakeService, refusal, user } from "../client/fake_service.js";
import { FakeIo, rollcall } from "./fake_io.js";

describe("commands", () => {
  let service: FakeService;
  let common: string[];

  beforeEach(async () => {
    service = await FakeService.start();
    common = ["--address", service.address, "--user", "tony"];
  });

  afterEach(() => service.stop());

  describe("set", () => {
    it("sets pairs, and says what the state is", async () => {
      service.handlers.setState = ({ channel, userId, states, replace, expectedRevision }) => {
        assert.deepEqual([channel?.type, channel?.name, userId], [ChannelType.STREAM, "room", "tony"]);
        assert.deepEqual([replace, expectedRevision], [true, 7n]);
        return { state: user("tony", states, 8), position: at(8) };
      };
      const flags = ["--replace", "--expect", "7", "--type", "stream"];
      const { code, out } = await rollcall(["set", "room", "Mode=Happy", "Mic=", ...flags, ...common]);
      assert.deepEqual([code, out], [0, ['tony in room: Mic="" Mode=Happy (revision 8)']]);
    });

    it("says that a state is pending (S12)", async () => {
      service.handlers.setState = ({ states }) => ({ state: user("tony", states), pending: true, position: at(0) });
      const { out } = await rollcall(["set", "room", "a=1", ...common]);
      assert.deepEqual(out, ["tony is not in room; pending until tony joins: a=1"]);
    });

    it("prints the whole answer with --json", async () => {
      service.handlers.setState = ({ states }) => ({ state: user("tony", states, 8), position: at(8) });
      const { out } = await rollcall(["set", "room", "a=1", "--json", ...common]);
      assert.equal(out.length, 1);
      const { state, pending, position } = JSON.parse(out[0]!);
      assert.deepEqual([state.userId, state.states, state.revision], ["tony", { a: "1" }, "8"]);
      assert.deepEqual([pending, position], [false, { epoch: "e1", revision: "8" }]);
    });
  });

  it("rm names keys, or all", async () => {
    const keys: string[][] = [];
    service.handlers.removeState = (request) => {
      keys.push(request.keys);
      return { state: user("tony", {}, 9), position: at(9) };
    };
    const { out } = await rollcall(["rm", "room", "Mode", "Mic", ...common]);
    await rollcall(["rm", "room", ...common]);
    assert.deepEqual([out, keys], [["tony in room: (no state) (revision 9)"], [["Mode", "Mic"], []]]);
  });

  it("get prints a pair a line, safely, or the exact state as JSON", async () => {
    const states = { b: "line\nline", a: "\u001b[2J so" };
    service.handlers.getState = ({ userId }) => ({ state: user(userId, states, 3) });
    assert.deepEqual((await rollcall(["get", "room", "anna", ...common])).out, ['a="\\x1b[2J so"', "b=line\\nline"]);
    const { out } = await rollcall(["get", "room", "anna", "--json", ...common]);
    assert.deepEqual([JSON.parse(out[0]!).states, out.length], [states, 1]);
  });

  describe("who", () => {
    beforeEach(() => {
      service.handlers.listOnlineUsers = ({ includeStates, countOnly, pageToken }) => {
        if (countOnly) return { totalSize: 2 };
        const states: Record<string, string> = includeStates ? { a: "1" } : {};
        const first = pageToken === "";
        return { users: [user(first ? "anna" : "bob\u001b[0m", states)], nextPageToken: first ? "next" : "" };
      };
    });

    it("prints a user a line, from all pages", async () => {
      assert.deepEqual((await rollcall(["who", "room", ...common])).out, ["anna", "bob\\x1b[0m"]);
      assert.deepEqual((await rollcall(["who", "room", "--states", ...common])).out, ["anna  a=1", "bob\\x1b[0m  a=1"]);
    });

    it("prints states in JSON only when they were asked for", async () => {
      const keysOf = async (...flags: string[]) =>
        Object.keys(JSON.parse((await rollcall(["who", "room", "--json", ...flags, ...common])).out[0]!));
      assert.deepEqual(await keysOf(), ["userId", "joinTime"]);
      assert.deepEqual(await keysOf("--states"), ["userId", "states", "revision", "joinTime"]);
    });

    it("counts", async () => {
      assert.deepEqual((await rollcall(["who", "room", "--count", ...common])).out, ["2"]);
      assert.deepEqual((await rollcall(["who", "room", "--count", "--json", ...common])).out, ['{"count":2}']);
    });

    it("asks for certain users and pairs alone, and says so where there are none", async () => {
      const asked: unknown[] = [];
      service.handlers.listOnlineUsers = ({ userIds, states }) => {
        asked.push([userIds, { ...states }]);
        return {};
      };
      await rollcall(["who", "room", "--filter", "Mic=True", "-f", "Mode=", "--count", ...common]);
      const io = new FakeIo({ tty: true, env: { NO_COLOR: "1" } });
      await rollcall(["who", "room", "--user-id", "anna", "bob", ...common], io);
      assert.deepEqual(io.stdout.lines, ["none of these is in room"]);
      assert.deepEqual(asked, [
        [[], { Mic: "True", Mode: "" }],
        [["anna", "bob"], {}],
      ]);
    });

    it("has a summary and colours on a terminal, and none with NO_COLOR", async () => {
      const onTerminal = new FakeIo({ tty: true });
      await rollcall(["who", "room", ...common], onTerminal);
      assert.ok(onTerminal.stdout.text.includes("\u001b[1manna"));
      assert.match(onTerminal.stdout.text, /2 online/);
      const plain = new FakeIo({ tty: true, env: { NO_COLOR: "1" } });
      await rollcall(["who", "room", ...common], plain);
      assert.deepEqual(plain.stdout.lines, ["anna", "bob\\x1b[0m", "2 online"]);
    });

    it("stops, and is content, when nobody reads on", async () => {
      const io = new FakeIo();
      let pages = 0;
      service.handlers.listOnlineUsers = () => {
        pages += 1;
        if (pages === 2) io.closing.abort();
        return { users: [user("anna")], nextPageToken: "more" };
      };
      const { code, err } = await rollcall(["who", "room", ...common], io);
      assert.deepEqual([code, err, pages], [0, [], 2]);
    });
  });

  it("where prints a channel a line", async () => {
    service.handlers.listUserChannels = ({ userId }) => ({
      channels: [
        { channel: { type: ChannelType.MESSAGE, name: "room" }, state: user(userId, { a: "1" }) },
        { channel: { type: ChannelType.STREAM, name: "stage" }, state: user(userId) },
      ],
    });
    assert.deepEqual((await rollcall(["where", "anna", ...common])).out, ["message  room  a=1", "stream   stage"]);
    const { out } = await rollcall(["where", "anna", "--json", ...common]);
    assert.deepEqual(
      out.map((line) => JSON.parse(line).channel),
      [
        { type: "message", name: "room" },
        { type: "stream", name: "stage" },
      ],
    );
  });

  describe("failures", () => {
    const info = (reason: string, metadata = {}) =>
      anyPack(ErrorInfoSchema, create(ErrorInfoSchema, { reason, domain: "presence.v1", metadata }));

    it("are one safe line, with the reason", async () => {
      service.handlers.getState = () => {
        throw refusal(grpc.status.NOT_FOUND, "no \u001b[31m\nuser", [info("PRESENCE_USER_NOT_EXIST")]);
      };
      const { code, out, err } = await rollcall(["get", "room", "anna", ...common]);
      assert.deepEqual([code, out, err], [3, [], ["rollcall: PRESENCE_USER_NOT_EXIST: no \\x1b[31m\\nuser"]]);
    });

    it("name the field that is wrong, once, and when to come back", async () => {
      const fieldViolations = [
        { field: "channel.name", description: "too long" },
        { field: "user_id", description: "too long" },
      ];
      const badRequest = anyPack(BadRequestSchema, create(BadRequestSchema, { fieldViolations }));
      const retryDelay = { seconds: 1n, nanos: 500_000_000 };
      const retryInfo = anyPack(RetryInfoSchema, create(RetryInfoSchema, { retryDelay }));
      service.handlers.getState = () => {
        throw refusal(grpc.status.INVALID_ARGUMENT, "channel.name: too long", [badRequest, retryInfo]);
      };
      const { err } = await rollcall(["get", "room", "anna", ...common]);
      assert.deepEqual(err, [
        "rollcall: INVALID_ARGUMENT: channel.name: too long; user_id: too long; try again in 1.5 s",
      ]);
    });

    it("are an object with --json", async () => {
      service.handlers.setState = () => {
        throw refusal(grpc.status.FAILED_PRECONDITION, "33", [info("STATE_COUNT_OVERFLOW", { limit: "32" })]);
      };
      const { code, out, err } = await rollcall(["set", "room", "a=1", "--json", ...common]);
      assert.deepEqual([code, out, err.length], [4, [], 1]);
      assert.deepEqual(JSON.parse(err[0]!).error, {
        code: "FAILED_PRECONDITION",
        reason: "STATE_COUNT_OVERFLOW",
        message: "33",
        violations: [],
        metadata: { limit: "32" },
        exitCode: 4,
      });
    });

    const codes: [grpc.status, number][] = [
      [grpc.status.INVALID_ARGUMENT, 2],
      [grpc.status.NOT_FOUND, 3],
      [grpc.status.FAILED_PRECONDITION, 4],
      [grpc.status.ABORTED, 4],
      [grpc.status.RESOURCE_EXHAUSTED, 4],
      [grpc.status.UNAUTHENTICATED, 5],
      [grpc.status.PERMISSION_DENIED, 5],
      [grpc.status.UNAVAILABLE, 6],
      [grpc.status.DEADLINE_EXCEEDED, 6],
      [grpc.status.INTERNAL, 1],
      [grpc.status.UNIMPLEMENTED, 1],
    ];
    for (const [status, exitCode] of codes) {
      it(`end with ${exitCode} when the server says ${grpc.status[status]}`, async () => {
        service.handlers.getState = () => {
          throw refusal(status, "no");
        };
        assert.equal((await rollcall(["get", "room", "anna", ...common])).code, exitCode);
      });
    }

    it("say where nobody answers, and how to start a server", async () => {
      service.stop();
      const { code, err } = await rollcall(["get", "room", "anna", ...common]);
      assert.equal(code, 6);
      const { address } = service;
      assert.deepEqual(err, [
        `rollcall: no server answers at ${address} (connect ECONNREFUSED ${address}); start one with: rollcall serve`,
      ]);
    });

    it("come after --timeout when there is no answer", async () => {
      service.handlers.getState = () => new Promise(() => {});
      const { code, err } = await rollcall(["get", "room", "anna", "--timeout", "50ms", ...common]);
      assert.deepEqual([code, err.length], [6, 1]);
      assert.match(err[0]!, new RegExp(`^rollcall: no answer from ${service.address} in time`));
    });
  });
});

describe("usage", () => {
  const mistakes: [string[], RegExp][] = [
    [["set", "room"], /^rollcall: missing required argument 'key=value'$/],
    [["set", "room", "novalue"], /"novalue" is not KEY=VALUE/],
    [["set", "room", "a=1", "--expect", "x"], /whole number/],
    [["get", "room"], /missing required argument 'user'/],
    [["get", "room", "anna", "more"], /too many arguments/],
    [["who", "room", "--filter", "Mic"], /"Mic" is not KEY=VALUE/],
    [["who", "room", "--type", "video"], /Allowed choices are message, stream/],
    [["who", "room", "--timeout", "soon"], /500ms, 5s or 1m/],
    [["who", "room", "--user", ""], /must not be empty/],
    [["wtch"], /unknown command 'wtch' \(Did you mean watch\?\)/],
  ];
  for (const [args, message] of mistakes) {
    it(`rollcall ${args.join(" ")}: one line, and 2`, async () => {
      const { code, out, err } = await rollcall(args);
      assert.deepEqual([code, out, err.length], [2, [], 1]);
      assert.match(err[0]!, message);
    });
  }

  it("is told as JSON with --json", async () => {
    const { code, err } = await rollcall(["get", "room", "--json"]);
    assert.deepEqual(
      [code, JSON.parse(err[0]!)],
      [2, { error: { message: "missing required argument 'user'", exitCode: 2 } }],
    );
  });

  it("is explained by --help, with examples and exit codes, and 0", async () => {
    const { code, out, err } = await rollcall(["--help"]);
    assert.deepEqual([code, err], [0, []]);
    for (const words of [
      "rollcall serve",
      "rollcall watch chat_room",
      "ROLLCALL_ADDRESS",
      "Exit codes:",
      "6    unreachable",
    ]) {
      assert.ok(out.join("\n").includes(words), words);
    }
    for (const command of ["watch", "set", "get", "rm", "who", "where", "load"]) {
      const help = await rollcall([command, "--help"]);
      assert.equal(help.code, 0);
      assert.ok(help.out.join("\n").includes(`$ rollcall ${command}`), command);
    }
  });

  it("is explained on stderr, and 2, when no command is given", async () => {
    const { code, out, err } = await rollcall([]);
    assert.deepEqual([code, out], [2, []]);
    assert.match(err.join("\n"), /^Usage: rollcall/);
    assert.doesNotMatch(err.join("\n"), /outputHelp/);
  });
});
