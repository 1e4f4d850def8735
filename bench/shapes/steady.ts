import type { Lab } from "../run/lab.js";
import { type ServerUnderTest, SUBJECTS, type SubjectName } from "../run/subject.js";
import { NO_LIMITS } from "./fan_out.js";
import { explained, own, type Sample, type Shape } from "./shape.js";

const PER_SECOND = 200;
const GAUGE_MS = 200;

/** The shape of an ordinary busy channel: changes come at their own pace, whether or not the server keeps up. */
export const STEADY: Shape = {
  name: "steady",
  title: "Steady 200 updates/s from 100 users to 1,000 readers",
  about: () =>
    "one channel over 10 connections: 100 present users who read, and 900 more readers. A change every 5 ms from one " +
    "user after the other, never waiting for the last one to arrive. grpc-js is there to show what happens when every " +
    "event is a write of its own. Rollcall serves its metrics meanwhile, and its gauge is read five times a second.",
  subjects: ["rollcall", "floor", "grpc_ready"],
  quick: ["rollcall"],
  columns: [
    { key: "p50", heading: "p50 ms", digits: 2 },
    { key: "p99", heading: "p99 ms", digits: 2 },
    { key: "excess", heading: "p99 beyond 2 × p50, ms", digits: 2 },
    { key: "lagging", heading: "most readers lagging", digits: 0 },
    { key: "cpu", heading: "CPU µs / delivery", digits: 2 },
    { key: "busy", heading: "server, % of a core", digits: 0 },
    { key: "readers", heading: "readers' process, % of a core", digits: 0 },
    { key: "stall", heading: "longest stall ms", digits: 0 },
  ],
  targets: [
    explained(
      own("p99 latency beyond 2 × p50", 10, " ms", (sample) => sample.excess!),
      "007",
    ),
    own("most readers lagging at a time", 0, "", (sample) => sample.lagging!),
  ],
  measure,
};

function measure(subject: SubjectName, lab: Lab): Promise<Sample> {
  const { quick, warmSeconds } = lab.scale;
  const settings = { rollcall: { ...NO_LIMITS.rollcall, metrics: { host: "127.0.0.1", port: 0 } } };
  return lab.with(subject, settings, async ({ server, load }) => {
    await load.call("open", {
      protocol: SUBJECTS[subject].protocol,
      address: server.address,
      channels: 1,
      readersPerChannel: 900,
      members: 100,
      membersHear: true,
      hearsOwn: SUBJECTS[subject].hearsOwn,
      connections: 10,
    });
    await load.call("fire", { seconds: warmSeconds, burst: 1, where: "readers" });
    await server.stall();
    const start = await server.cpu();
    const gauge = watchLagging(server);
    const seen = await load.call("steady", { seconds: quick ? 1 : 5, perSecond: PER_SECOND });
    const lagging = await gauge.stop();
    const cpu = (await server.cpu()) - start;
    const stall = await server.stall();
    await load.call("verify");
    return {
      p50: seen.p50 / 1000,
      p99: seen.p99 / 1000,
      excess: Math.max(0, (seen.p99 - 2 * seen.p50) / 1000),
      lagging: Math.max(lagging, seen.resyncs),
      cpu: cpu / seen.deliveries,
      busy: cpu / seen.seconds / 1e4,
      readers: seen.busy * 100,
      stall,
    };
  });
}

/** Looks at the gauge of lagging readers a few times a second and keeps the highest. */
function watchLagging(server: ServerUnderTest): { stop(): Promise<number> } {
  const seen: Promise<number>[] = [];
  const timer = setInterval(() => seen.push(server.lagging()), GAUGE_MS);
  return {
    stop: async () => {
      clearInterval(timer);
      return Math.max(...(await Promise.all(seen)));
    },
  };
}
