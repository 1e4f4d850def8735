import type { Lab, Scale } from "../run/lab.js";
import type { SubjectName } from "../run/subject.js";
import { NO_LIMITS } from "./fan_out.js";
import { own, type Sample, type Shape } from "./shape.js";

const CONNECTIONS = 20;
const AT_ONCE = 50;
const holders = (scale: Scale) => (scale.quick ? 200 : 1000);
const half = (scale: Scale) => (scale.quick ? 500 : 5000);

/** Whether a join costs more the more users are there. */
export const JOIN_GROWTH: Shape = {
  name: "join_growth",
  title: "10,000 joins into one channel already holding 1,000",
  about: (scale) =>
    `${holders(scale)} users hear the channel; twice ${half(scale)} more join by streams with with_presence = false, ${AT_ONCE} at ` +
    "a time. The audience of a join stays the same that way, so the cost should too. A half is over when all of its " +
    "users are in and the view of each of the first users holds them.",
  subjects: ["rollcall"],
  quick: ["rollcall"],
  columns: [
    { key: "first", heading: "first half s", digits: 2 },
    { key: "second", heading: "second half s", digits: 2 },
    { key: "growth", heading: "second / first, time", digits: 2 },
    { key: "cpuGrowth", heading: "second / first, CPU", digits: 2 },
    { key: "cpuPerJoin", heading: "CPU µs / join, second half", digits: 0 },
    { key: "stall", heading: "longest stall ms", digits: 0 },
  ],
  targets: [
    own("time of the second half of the joins, of the first", 1.3, "×", (sample) => sample.growth!),
    own("CPU of the second half of the joins, of the first", 1.3, "×", (sample) => sample.cpuGrowth!),
  ],
  mostRuns: 3,
  measure,
};

function measure(subject: SubjectName, lab: Lab): Promise<Sample> {
  const [held, joins] = [holders(lab.scale), half(lab.scale)];
  return lab.with(subject, NO_LIMITS, async ({ server, load }) => {
    await load.call("gather", { address: server.address, connections: CONNECTIONS, most: held + 2 * joins });
    await load.call("enter", "hearing member", held, held);
    await server.stall();
    const start = await server.cpu();
    const first = await load.call("enter", "member", joins, AT_ONCE);
    const middle = await server.cpu();
    const second = await load.call("enter", "member", joins, AT_ONCE);
    const end = await server.cpu();
    return {
      first: first.seconds,
      second: second.seconds,
      growth: second.seconds / first.seconds,
      cpuGrowth: (end - middle) / (middle - start),
      cpuPerJoin: (end - middle) / joins,
      stall: await server.stall(),
    };
  });
}
