import type { Lab, Scale } from "../run/lab.js";
import type { SubjectName } from "../run/subject.js";
import { NO_LIMITS } from "./fan_out.js";
import { own, type Sample, type Shape } from "./shape.js";

const PER_SECOND = 5000;
const half = (scale: Scale) => (scale.quick ? 2500 : 25_000);

/** What one very large channel takes up, and whether that grows as its users do. */
export const GROWTH: Shape = {
  name: "growth",
  title: "50,000 users join one channel by leases, 5,000 a second",
  about: (scale) =>
    `twice ${half(scale)} users without state join one channel, ${PER_SECOND} begun in a second. Memory after a full collection, ` +
    "less what it was before, per user; the lease with its deadline and its session is in it.",
  subjects: ["rollcall"],
  quick: [],
  columns: [
    { key: "bytes", heading: "bytes / user", digits: 0 },
    { key: "first", heading: "first half", digits: 0 },
    { key: "second", heading: "second half", digits: 0 },
    { key: "perSecond", heading: "joins / s", digits: 0 },
    { key: "cpu", heading: "CPU µs / join", digits: 0 },
    { key: "stall", heading: "longest stall ms", digits: 0 },
  ],
  targets: [
    own("memory of a user without state", 2048, " bytes", (sample) => sample.bytes!),
    // Tables double when they are full, so one half pays for more of that than the other.
    own("memory of a user of the second half, of the first", 1.5, "×", (sample) => sample.second! / sample.first!),
  ],
  mostRuns: 1,
  measure,
};

function measure(subject: SubjectName, lab: Lab): Promise<Sample> {
  return lab.with(subject, NO_LIMITS, async ({ server, load }) => {
    const users = half(lab.scale);
    const order = { address: server.address, channels: 1, perSecond: PER_SECOND };
    await load.call("takeLeases", { ...order, users: 500, prefix: "warm" });
    const before = (await server.memory()).heap;
    await server.stall();
    const [began, start] = [performance.now(), await server.cpu()];
    await load.call("takeLeases", { ...order, users, prefix: "growth", first: 0 });
    const firstSeconds = (performance.now() - began) / 1000;
    const firstCpu = (await server.cpu()) - start;
    const stallOfFirst = await server.stall();
    const middle = (await server.memory()).heap;
    await server.stall();
    const [beganAgain, startAgain] = [performance.now(), await server.cpu()];
    await load.call("takeLeases", { ...order, users, prefix: "growth", first: users });
    const secondSeconds = (performance.now() - beganAgain) / 1000;
    const cpu = firstCpu + (await server.cpu()) - startAgain;
    const stall = Math.max(stallOfFirst, await server.stall());
    const end = (await server.memory()).heap;
    return {
      bytes: (end - before) / (2 * users),
      first: (middle - before) / users,
      second: (end - middle) / users,
      perSecond: (2 * users) / (firstSeconds + secondSeconds),
      cpu: cpu / (2 * users),
      stall,
    };
  });
}
