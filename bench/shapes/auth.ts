import { mintToken } from "../../src/auth/mint.js";
import type { Plan } from "../load/load.js";
import type { Lab } from "../run/lab.js";
import type { SubjectName } from "../run/subject.js";
import { NO_LIMITS } from "./fan_out.js";
import { own, type Sample, type Shape } from "./shape.js";

const TOGETHER = 10;
const SECRET = "a secret of the bench, long enough to be one";
const WARM_TIMES = 4;
/** The two servers are loaded in turn, so that whatever else the machine does meets them alike. */
const TURNS = 6;

/** What it costs the server to find out who calls, when it has seen the token before. */
export const AUTH: Shape = {
  name: "auth",
  title: "SetState with a token, against the same without",
  about: () =>
    `calls on one connection, ${TOGETHER} at a time, in a channel without readers; to a server that asks for tokens ` +
    "(HS256, verified once, then remembered; with rights in five patterns and one to act for others), and to one that " +
    "believes its callers, in turn.",
  subjects: ["rollcall"],
  quick: [],
  columns: [
    { key: "trusted", heading: "CPU µs / call, without", digits: 1 },
    { key: "token", heading: "CPU µs / call, with a token", digits: 1 },
    { key: "ratio", heading: "ratio", digits: 2 },
  ],
  targets: [own("SetState's CPU with a token, of that without", 1.15, "×", (sample) => sample.ratio!)],
  measure,
};

async function measure(subject: SubjectName, lab: Lab): Promise<Sample> {
  const { warmSeconds, seconds } = lab.scale;
  const patterns = ["room:*", "game:*", "lobby", "team:*", "c*"];
  const token = await mintToken({
    userId: "bench",
    presence: {
      channels: patterns.map((pattern) => ({ pattern, allow: ["subscribe", "write", "read"] })),
      act_as: ["m*"],
    },
    lifeMs: 3_600_000,
    secret: SECRET,
  });
  const asking = { rollcall: { ...NO_LIMITS.rollcall, tokenSecret: SECRET } };
  return lab.with(subject, NO_LIMITS, (trusting) =>
    lab.with(subject, asking, async ({ server, load }) => {
      const plan: Omit<Plan, "address"> = {
        protocol: "presence",
        channels: 1,
        readersPerChannel: 0,
        members: TOGETHER,
        connections: 1,
      };
      const sides = [
        { server: trusting.server, plan: { ...plan, address: trusting.server.address }, cpu: 0, calls: 0 },
        { server, plan: { ...plan, address: server.address, token }, cpu: 0, calls: 0 },
      ];
      const fire = async (side: (typeof sides)[number], forSeconds: number) => {
        await load.call("open", side.plan);
        const start = await side.server.cpu();
        const { changes } = await load.call("fire", { seconds: forSeconds, burst: TOGETHER, where: "alone" });
        return { cpu: (await side.server.cpu()) - start, calls: changes };
      };
      for (const side of sides) await fire(side, warmSeconds * WARM_TIMES);
      for (let turn = 0; turn < TURNS; turn++) {
        for (const side of sides) {
          const { cpu, calls } = await fire(side, seconds / 2);
          side.cpu += cpu;
          side.calls += calls;
        }
      }
      const [trusted, withToken] = sides.map(({ cpu, calls }) => cpu / calls) as [number, number];
      return { trusted, token: withToken, ratio: withToken / trusted };
    }),
  );
}
