import type { Lab, Scale } from "../run/lab.js";
import type { SubjectName } from "../run/subject.js";
import { NO_LIMITS } from "./fan_out.js";
import { own, type Sample, type Shape } from "./shape.js";

const FEW = 5;
const many = (scale: Scale) => (scale.quick ? 5000 : 50_000);
/** Calls of one sample; enough to drown what a garbage collection adds. */
const calls = (scale: Scale) => (scale.quick ? 500 : 10_000);
/** Both channels are asked in turns, so that whatever else the machine does meets them alike. */
const TURNS = 4;

/** Whether counting a channel costs more the more users are in it. */
export const COUNT_ONLY: Shape = {
  name: "count_only",
  title: "ListOnlineUsers with count_only, on 50,000 users and on 5",
  about: (scale) =>
    `${calls(scale)} calls, ten at a time, in ${TURNS} turns, to a channel of ${many(scale)} users and to one of ${FEW}.`,
  subjects: ["rollcall"],
  quick: [],
  columns: [
    { key: "few", heading: `CPU µs / call, ${FEW} users`, digits: 1 },
    { key: "many", heading: "CPU µs / call, 50,000 users", digits: 1 },
    { key: "ratio", heading: "many / few", digits: 2 },
  ],
  targets: [own("CPU of counting 50,000 users, of counting 5", 1.2, "×", (sample) => sample.ratio!)],
  measure,
};

function measure(subject: SubjectName, lab: Lab): Promise<Sample> {
  return lab.with(subject, NO_LIMITS, async ({ server, load }) => {
    const order = { address: server.address, channels: 1, perSecond: 0 };
    await load.call("takeLeases", { ...order, users: FEW, prefix: "few" });
    await load.call("takeLeases", { ...order, users: many(lab.scale), prefix: "many" });
    const spent = { few: 0, many: 0 };
    const each = Math.ceil(calls(lab.scale) / TURNS);
    const ask = async (prefix: "few" | "many"): Promise<number> => {
      const start = await server.cpu();
      await load.call("countUsers", { address: server.address, channel: `${prefix}0`, calls: each });
      return (await server.cpu()) - start;
    };
    for (const prefix of ["few", "many"] as const) await ask(prefix);
    for (let turn = 0; turn < TURNS; turn++) {
      for (const prefix of ["few", "many"] as const) spent[prefix] += (await ask(prefix)) / (each * TURNS);
    }
    return { ...spent, ratio: spent.many / spent.few };
  });
}
