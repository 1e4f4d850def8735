import type { Lab, Scale } from "../run/lab.js";
import type { SubjectName } from "../run/subject.js";
import { NO_LIMITS } from "./fan_out.js";
import type { Sample, Shape } from "./shape.js";

const CONNECTIONS = 20;
const users = (scale: Scale) => (scale.quick ? 400 : 2000);

/** Everybody comes at once, as after a restart or at the start of a match. */
export const JOIN_STORM: Shape = {
  name: "join_storm",
  title: "A join storm of 2,000 users into one channel",
  about: (scale) =>
    `${users(scale)} streams are opened at once over ${CONNECTIONS} connections. It is over when the view of every reader, kept ` +
    "from snapshot and events as an application would, holds all of them. With announcements throughout, the server's " +
    "interval mode being out of reach.",
  subjects: ["rollcall"],
  quick: ["rollcall"],
  columns: [
    { key: "seconds", heading: "seconds to convergence", digits: 2 },
    { key: "cpu", heading: "server CPU s", digits: 2 },
    { key: "megabytes", heading: "MB sent", digits: 1 },
    { key: "bytesPerPair", heading: "bytes / reader and user", digits: 0 },
    { key: "stall", heading: "longest stall ms", digits: 0 },
  ],
  targets: [],
  mostRuns: 3,
  measure,
};

function measure(subject: SubjectName, lab: Lab): Promise<Sample> {
  const count = users(lab.scale);
  return lab.with(subject, NO_LIMITS, async ({ server, load }) => {
    await load.call("gather", { address: server.address, connections: CONNECTIONS, most: count });
    await server.stall();
    const start = await server.cpu();
    const entered = await load.call("enter", "hearing member", count, count);
    const cpu = (await server.cpu()) - start;
    return {
      seconds: entered.seconds,
      cpu: cpu / 1e6,
      megabytes: entered.bytes / 1e6,
      bytesPerPair: entered.bytes / (count * count),
      stall: await server.stall(),
    };
  });
}
