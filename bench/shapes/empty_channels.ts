import { setTimeout as sleep } from "node:timers/promises";
import type { Lab, Scale } from "../run/lab.js";
import type { SubjectName } from "../run/subject.js";
import { NO_LIMITS } from "./fan_out.js";
import { own, type Sample, type Shape } from "./shape.js";

/** Node ends a connection on which more than about a thousand streams are cancelled in a short time. */
const CANCELS_PER_CONNECTION = 500;
const RESUME_MS = 500;
/** Time for the server to notice, beyond the time for resuming. */
const MARGIN_MS = 1000;
const channels = (scale: Scale) => (scale.quick ? 500 : 10_000);

/** Whether channels that nobody is in any more are really gone. */
export const EMPTY_CHANNELS: Shape = {
  name: "empty_channels",
  title: "A channel's cost when nobody is in it",
  about: (scale) =>
    `${channels(scale)} channels, each joined by one user with a state, who leaves at once. With a time for resuming of ` +
    `${RESUME_MS / 1000} s; memory after a full collection once it has passed, less what it was after equal rounds before.`,
  subjects: ["rollcall"],
  quick: ["rollcall"],
  columns: [{ key: "left", heading: "bytes left / channel", digits: 1 }],
  // A collection leaves some bytes more or less behind, whatever the server does; a channel forgotten in any map
  // would show with a hundred at least.
  targets: [own("memory left of a channel after the resume time", 50, " bytes", (sample) => sample.left!)],
  mostRuns: 3,
  measure,
};

function measure(subject: SubjectName, lab: Lab): Promise<Sample> {
  const count = channels(lab.scale);
  const settings = { rollcall: { ...NO_LIMITS.rollcall, resumeTtl: RESUME_MS } };
  return lab.with(subject, settings, async ({ server, load }) => {
    const round = async (prefix: string) => {
      const connections = count / CANCELS_PER_CONNECTION;
      const order = { address: server.address, connections, prefix, channels: count, perChannel: 1 };
      await load.call("bringIn", { ...order, by: "passing streams" });
      await sleep(RESUME_MS);
      await load.call("leave");
      await sleep(MARGIN_MS);
      return (await server.memory()).heap;
    };
    if (!lab.scale.quick) await round("warm");
    const before = await round("before");
    const rounds = lab.scale.quick ? 1 : 2;
    let after = before;
    for (let i = 0; i < rounds; i++) after = await round(`r${i}_`);
    return { left: (after - before) / (rounds * count) };
  });
}
