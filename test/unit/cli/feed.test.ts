import assert from "node:assert/strict";
import * as grpc from "@grpc/grpc-js";
import picocolors from "picocolors";
import { ChannelType } from "../../../gen/presence/v1/presence_pb.js";
import type { WatchChannelsRequest } from "../../../gen/presence/v1/presence_service_pb.js";
import { feedLines } from "../../../src/cli/feed_lines.js";
import {
  changed,
  type EventInit,
  FakeService,
  join,
  leave,
  NOON,
  refusal,
  snapshot,
  user,
} from "../client/fake_service.js";
import { FakeIo, rollcall } from "./fake_io.js";

const noon = NOON.toTimeString().slice(0, 8);
const time = { seconds: BigInt(NOON.getTime() / 1000), nanos: 0 };
const begun: EventInit = { time, event: { case: "subscribed", value: {} } };
const complete: EventInit = { time, event: { case: "snapshot", value: { last: true } } };
const lost: EventInit = { time, event: { case: "outOfService", value: { description: "too \u001b slow" } } };
const occupied: EventInit = { ...join(3, ""), event: { case: "channelOccupied", value: {} } };
const vacated: EventInit = { ...leave(5, ""), event: { case: "channelVacated", value: {} } };

describe("feed", () => {
  let service: FakeService;
  let common: string[];

  beforeEach(async () => {
    service = await FakeService.start();
    common = ["--address", service.address, "--user", "back end"];
  });

  afterEach(() => service.stop());

  it("prints a line an event, with time, channel and what happened, and ends at Ctrl-C with 0", async () => {
    const io = new FakeIo();
    const done = rollcall(["feed", "--snapshot", ...common], io);
    const stream = await service.nextStream();
    const timeout: EventInit = { ...leave(6, "anna"), event: { case: "remoteTimeout", value: { occupancy: 0 } } };
    stream.send(begun, snapshot(2, [user("anna", { a: "1" }, 2)]), complete, lost, occupied, join(3, "tony"));
    const stage = { type: ChannelType.STREAM, name: "stage\u001b" };
    stream.send(changed(4, "tony", { Mic: "True" }), leave(5, "tony"), vacated, { ...timeout, channel: stage });
    await io.stdout.until(/timed out/);
    io.interrupt();
    await stream.cancelled;
    assert.deepEqual(await done, {
      code: 0,
      out: [
        `${noon}  watching`,
        `${noon}  chat_room  1 online`,
        `${noon}  chat_room  anna  a=1`,
        `${noon}  all occupied channels told`,
        `${noon}  events were lost: too \\x1b slow`,
        `${noon}  chat_room  occupied`,
        `${noon}  chat_room  tony joined`,
        `${noon}  chat_room  tony  Mic=True`,
        `${noon}  chat_room  tony left`,
        `${noon}  chat_room  vacated`,
        `${noon}  stage\\x1b (stream)  anna timed out`,
      ],
      err: [],
    });
  });

  it("asks for the channels and the prefix that it is given", async () => {
    const requests: [number, string][][] = [];
    for (const flags of [
      ["-c", "a", "b", "-c", "c", "--type", "stream"],
      ["--prefix", "game_"],
    ]) {
      const io = new FakeIo();
      const done = rollcall(["feed", ...flags, ...common], io);
      const stream = await service.nextStream();
      const { channels, prefix, withSnapshot } = stream.request as unknown as WatchChannelsRequest;
      requests.push(channels.map(({ type, name }) => [type, name]));
      assert.deepEqual([prefix, withSnapshot], [flags[0] === "--prefix" ? "game_" : "", false]);
      stream.end();
      const { code, err } = await done;
      assert.deepEqual([code, err], [8, ["rollcall: the server ended the stream"]]);
    }
    const { STREAM } = ChannelType;
    assert.deepEqual(requests, [
      [
        [STREAM, "a"],
        [STREAM, "b"],
        [STREAM, "c"],
      ],
      [],
    ]);
  });

  it("prints JSON lines with the channel of each event", async () => {
    const done = rollcall(["feed", "--json", ...common]);
    const stream = await service.nextStream();
    stream.send(begun, occupied, join(3, "tony"), vacated);
    stream.end();
    const { out } = await done;
    const events = out.map((line) => JSON.parse(line));
    assert.deepEqual(
      events.map(({ kind, channel, userId }) => [kind, channel?.name, userId]),
      [
        ["subscribed", undefined, undefined],
        ["occupied", "chat_room", undefined],
        ["join", "chat_room", "tony"],
        ["vacated", "chat_room", undefined],
        ["closed", undefined, undefined],
      ],
    );
    assert.equal(events[1].position.revision, "3");
    assert.deepEqual([events[4].reason, events[4].exitCode], ["ENDED_ELSEWHERE", 8]);
  });

  it("says that the connection is lost, and goes on when it is back", async () => {
    for (const [flags, said] of [
      [
        [],
        [
          /watching$/,
          /connection lost \(UNAVAILABLE\); trying again in \d\.\d s$/,
          /connected again; events may have been missed$/,
          /chat_room {2}tony joined$/,
        ],
      ],
      [
        ["--json"],
        [
          /"kind":"subscribed"/,
          /^{"kind":"reconnecting","time":"[^"]+Z","attempt":1,"code":"UNAVAILABLE","message":".*","retryInMs":\d+}$/,
          /^{"kind":"resync","time":"2026-01-02T12:00:00.000Z"}$/,
          /"tony"/,
        ],
      ],
    ] as const) {
      const io = new FakeIo();
      const done = rollcall(["feed", ...flags, ...common], io);
      const stream = await service.nextStream();
      stream.send(begun);
      stream.fail({ code: grpc.status.UNAVAILABLE });
      (await service.nextStream()).send(begun, join(3, "tony"));
      await io.stdout.until(/tony/);
      io.interrupt();
      const { code, out } = await done;
      assert.equal(code, 0);
      assert.equal(out.filter((line) => !line.includes('"closed"')).length, said.length);
      for (const [n, pattern] of said.entries()) assert.match(out[n]!, pattern);
    }
  });

  it("fails at once when there is no server, and when it is not allowed after a return", async () => {
    const io = new FakeIo();
    const done = rollcall(["feed", ...common], io);
    const stream = await service.nextStream();
    stream.send(begun);
    stream.fail({ code: grpc.status.UNAVAILABLE });
    (await service.nextStream()).fail(refusal(grpc.status.PERMISSION_DENIED, "not you"));
    assert.equal((await done).code, 5);
    service.stop();
    const { code, err } = await rollcall(["feed", ...common]);
    assert.equal(code, 6);
    assert.match(err[0]!, /no server answers at/);
  });

  it("says when it is not allowed, and when nobody answers in time", async () => {
    const refused = rollcall(["feed", ...common]);
    (await service.nextStream()).fail(refusal(grpc.status.PERMISSION_DENIED, "not you"));
    assert.equal((await refused).code, 5);
    const unanswered = rollcall(["feed", "--timeout", "50ms", ...common]);
    await service.nextStream();
    assert.equal((await unanswered).code, 6);
  });

  it("ends without an error when nobody reads its output any more", async () => {
    const io = new FakeIo();
    const done = rollcall(["feed", ...common], io);
    const stream = await service.nextStream();
    stream.send(begun);
    await io.stdout.until(/watching/);
    io.closing.abort();
    await stream.cancelled;
    assert.deepEqual([(await done).code, io.stderr.text], [0, ""]);
  });

  it("shows what a later server may tell", () => {
    const channel = { type: "message", name: "a" } as const;
    const position = { epoch: "e", revision: 1n };
    const event = { kind: "out_of_service", channel, position, time: NOON, description: "x" } as const;
    assert.deepEqual(feedLines(event, picocolors.createColors(false)), [`${noon}  a  out_of_service`]);
  });
});
