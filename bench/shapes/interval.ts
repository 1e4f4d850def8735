import type { Lab, Scale } from "../run/lab.js";
import { SUBJECTS, type SubjectName } from "../run/subject.js";
import { NO_LIMITS } from "./fan_out.js";
import { own, type Sample, type Shape } from "./shape.js";

const INTERVAL_MS = 1000;
const PER_SECOND = 200;
/** Announcing 200 changes a second to so many readers is more than a server can do; each costs the same at a few. */
const ANNOUNCED_PER_SECOND = 5;
/** So many that none of them changes twice in an interval: every change has to reach every reader. */
const WRITERS = 1000;
const CONNECTIONS = 20;
const users = (scale: Scale) => (scale.quick ? 2000 : 20_000);
const readers = (scale: Scale) => (scale.quick ? 1000 : 20_000);

/** What interval mode saves in a large channel, and what it costs in time. */
export const INTERVAL: Shape = {
  name: "interval",
  title: "A channel of 20,000 in intervals, against announcing each event",
  about: (scale) =>
    `${users(scale)} users are present by leases; ${readers(scale)} more streams over ${CONNECTIONS} connections read; ${WRITERS} others change ` +
    `their state in turn, whether or not the server keeps up. Once with an interval of ${INTERVAL_MS} ms and ${PER_SECOND} changes a second, ` +
    `once with announcements and ${ANNOUNCED_PER_SECOND} a second; before each, the same without readers, which is what a call costs at this rate.`,
  subjects: ["rollcall"],
  quick: [],
  columns: [
    { key: "call", heading: "CPU µs / change, no readers", digits: 0 },
    { key: "announced", heading: "announced", digits: 0 },
    { key: "inIntervals", heading: "in intervals", digits: 0 },
    { key: "share", heading: "in intervals / announced, all of it", digits: 3 },
    { key: "fanOutShare", heading: "the fan-out alone", digits: 3 },
    { key: "p50", heading: "p50 ms, in intervals", digits: 0 },
    { key: "p99", heading: "p99 ms", digits: 0 },
    { key: "last", heading: "last change at all readers after ms", digits: 0 },
    { key: "stall", heading: "longest stall ms", digits: 0 },
  ],
  targets: [
    own("server CPU per change, of announcing it", 0.05, "×", (sample) => sample.share!),
    own("time until the slowest percent has a change, beyond the interval", 500, " ms", (sample) => {
      return Math.max(sample.p99!, sample.last!) - INTERVAL_MS;
    }),
  ],
  mostRuns: 3,
  measure,
};

async function measure(subject: SubjectName, lab: Lab): Promise<Sample> {
  const announced = await change(subject, lab, NO_LIMITS.rollcall, ANNOUNCED_PER_SECOND);
  const inIntervals = await change(subject, lab, { announceMax: 500, interval: INTERVAL_MS }, PER_SECOND);
  const { call, p50, p99, last, stall } = inIntervals;
  return {
    call,
    announced: announced.cpu,
    inIntervals: inIntervals.cpu,
    share: inIntervals.cpu / announced.cpu,
    fanOutShare: (inIntervals.cpu - call) / (announced.cpu - announced.call),
    p50,
    p99,
    last,
    stall,
  };
}

function change(subject: SubjectName, lab: Lab, rollcall: object, perSecond: number) {
  const { quick } = lab.scale;
  const order = { seconds: quick ? 1 : 6, perSecond };
  return lab.with(subject, { rollcall }, async ({ server, load }) => {
    const { address } = server;
    const leases = { address, connections: 10, prefix: "c", channels: 1, perChannel: users(lab.scale) };
    await load.call("bringIn", { ...leases, by: "leases" });
    const { protocol } = SUBJECTS[subject];
    const plan = { protocol, address, channels: 1, members: WRITERS, connections: CONNECTIONS, intervals: true };
    const perChange = async () => {
      await load.call("steady", { ...order, seconds: quick ? 1 : 3 });
      const start = await server.cpu();
      const seen = await load.call("steady", order);
      return { seen, cpu: ((await server.cpu()) - start) / seen.changes };
    };
    await load.call("open", { ...plan, readersPerChannel: 0 });
    const { cpu: call } = await perChange();
    await load.call("open", { ...plan, readersPerChannel: readers(lab.scale) });
    await server.stall();
    const { seen, cpu } = await perChange();
    const stall = await server.stall();
    await load.call("verify");
    const lastSentAt = order.seconds - 1 / perSecond;
    return { call, cpu, p50: seen.p50 / 1000, p99: seen.p99 / 1000, last: (seen.seconds - lastSentAt) * 1000, stall };
  });
}
