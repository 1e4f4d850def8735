import type { Lab, Scale } from "../run/lab.js";
import type { SubjectName } from "../run/subject.js";
import { ratio, type Sample, type Shape } from "./shape.js";

const STATE_BYTES = 200;
const users = (scale: Scale) => (scale.quick ? 5000 : 50_000);
const joins = (scale: Scale) => (scale.quick ? 3 : 10);
/** About what a user takes in a snapshot, beside its state: names, revision, times. */
const USER_BYTES = 48;

/** What it takes to tell one who comes of all who are there. */
export const LARGE_JOIN: Shape = {
  name: "large_join",
  title: "Joining a channel of 50,000",
  about: (scale) =>
    `${users(scale)} users with states of ${STATE_BYTES} bytes are present by leases. One after the other ${joins(scale)} more join by a ` +
    "stream, each on a connection of its own, and read the whole snapshot; each changes the channel, so none gets the " +
    "snapshot of another. The first of all comes before that, when nothing is encoded yet, and stays. The bare server writes the " +
    "same amount of ready bytes.",
  subjects: ["rollcall", "floor"],
  quick: [],
  columns: [
    { key: "first", heading: "first join ms", digits: 0 },
    { key: "firstStall", heading: "longest stall in it ms", digits: 0 },
    { key: "ms", heading: "join ms, median", digits: 1 },
    { key: "megabytes", heading: "MB", digits: 1 },
    { key: "perMegabyte", heading: "ms / MB", digits: 2 },
    { key: "cpu", heading: "server CPU ms / MB", digits: 2 },
    { key: "stall", heading: "longest stall ms", digits: 0 },
  ],
  targets: [
    ratio("perMegabyte", "floor", 1.3, "time per MB of a join, of bare bytes"),
    {
      text: "longest stall of the event loop",
      atMost: 20,
      unit: " ms",
      value: (run) => run.rollcall && Math.max(run.rollcall.firstStall!, run.rollcall.stall!),
    },
  ],
  mostRuns: 3,
  measure,
};

function measure(subject: SubjectName, lab: Lab): Promise<Sample> {
  const count = users(lab.scale);
  const bytes = count * (STATE_BYTES + USER_BYTES);
  return lab.with(subject, { snapshot: bytes }, async ({ server, load }) => {
    const { address } = server;
    if (subject === "rollcall") {
      const order = { address, connections: 10, prefix: "c", channels: 1, perChannel: count };
      await load.call("bringIn", { ...order, by: "leases", stateBytes: STATE_BYTES });
    }
    const order = { address, channel: "c0", bytes: subject === "rollcall" ? undefined : bytes };
    await server.stall();
    const first = await load.call("largeJoin", { ...order, prefix: "first", joins: 1, stay: true });
    const firstStall = await server.stall();
    await load.call("largeJoin", { ...order, prefix: "warm", joins: 2 });
    await server.stall();
    const start = await server.cpu();
    const joined = await load.call("largeJoin", { ...order, prefix: "joins", joins: joins(lab.scale) });
    const cpu = (await server.cpu()) - start;
    const ms = joined.ms.sort((a, b) => a - b)[joined.ms.length >> 1]!;
    const megabytes = joined.bytes / 1e6;
    return {
      first: first.ms[0]!,
      firstStall,
      ms,
      megabytes,
      perMegabyte: ms / megabytes,
      cpu: cpu / 1000 / joined.ms.length / megabytes,
      stall: await server.stall(),
    };
  });
}
