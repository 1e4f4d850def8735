import { PATH } from "../load/calls.js";
import type { Plan } from "../load/load.js";
import type { Lab } from "../run/lab.js";
import type { SubjectName } from "../run/subject.js";
import { NO_LIMITS } from "./fan_out.js";
import { ratio, type Sample, type Shape } from "./shape.js";

const TOGETHER = 10;
const READERS = 20;
/** Calls go on getting cheaper for some seconds, most of all where much code is involved. */
const WARM_TIMES = 4;

/** What one SetState costs the server, beside the least that a call can cost over grpc-js and over bare HTTP/2. */
export const UNARY: Shape = {
  name: "unary",
  title: "SetState, against an empty call of the same size",
  about: () =>
    `calls on one connection, ${TOGETHER} at a time and one at a time, in a channel without readers, and for information ` +
    `in one with ${READERS}. For grpc-js the call without readers is an empty one: the same request bytes, taken as ` +
    "they are, and an empty answer.",
  subjects: ["rollcall", "grpc_ready", "floor"],
  quick: ["rollcall", "grpc_ready"],
  columns: [
    { key: "together", heading: `CPU µs / call, ${TOGETHER} at a time`, digits: 1 },
    { key: "alone", heading: "CPU µs / call, one at a time", digits: 1 },
    { key: "heard", heading: `CPU µs / call, ${READERS} readers`, digits: 1 },
    { key: "perSecond", heading: `calls / s, ${TOGETHER} at a time`, digits: 0 },
  ],
  targets: [ratio("together", "grpc_ready", 1.5, "SetState's CPU, of an empty grpc-js call of the same size")],
  measure,
};

function measure(subject: SubjectName, lab: Lab): Promise<Sample> {
  const { warmSeconds, seconds } = lab.scale;
  return lab.with(subject, NO_LIMITS, async ({ server, load }) => {
    const plan: Plan = {
      protocol: "presence",
      address: server.address,
      channels: 1,
      readersPerChannel: READERS,
      members: TOGETHER,
      connections: 1,
    };
    const cost = async (burst: number, where: "readers" | "alone") => {
      await load.call("fire", { seconds: warmSeconds * WARM_TIMES, burst, where });
      const start = await server.cpu();
      const seen = await load.call("fire", { seconds, burst, where });
      return { micros: ((await server.cpu()) - start) / seen.changes, perSecond: seen.changes / seen.seconds };
    };
    const isEmpty = subject === "grpc_ready";
    await load.call("open", isEmpty ? { ...plan, path: PATH.nothing } : plan);
    const together = await cost(TOGETHER, "alone");
    const alone = await cost(1, "alone");
    if (isEmpty) await load.call("open", plan);
    const heard = await cost(TOGETHER, "readers");
    await load.call("verify");
    return { together: together.micros, perSecond: together.perSecond, alone: alone.micros, heard: heard.micros };
  });
}
