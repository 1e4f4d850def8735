import type { Plan } from "../load/load.js";
import type { Lab } from "../run/lab.js";
import type { SubjectName } from "../run/subject.js";

/** Calls on one connection at a time. */
export const TOGETHER = 10;
const WARM_TIMES = 4;
/** The two servers are loaded in turn, so that whatever else the machine does meets them alike. */
const TURNS = 6;

/** One of two servers that are compared. */
export interface Side {
  /** What its server is started with. */
  readonly settings: object;
  /** How its calls differ. */
  readonly plan?: Partial<Plan>;
}

/** The CPU time of SetState on two servers with different settings, each in µs a call. */
export function sideBySide(subject: SubjectName, lab: Lab, one: Side, other: Side): Promise<[number, number]> {
  const { warmSeconds, seconds } = lab.scale;
  return lab.with(subject, { rollcall: one.settings }, (first) =>
    lab.with(subject, { rollcall: other.settings }, async ({ server, load }) => {
      const plan = {
        protocol: "presence",
        channels: 1,
        readersPerChannel: 0,
        members: TOGETHER,
        connections: 1,
      } as const;
      const sides = [
        { server: first.server, plan: { ...plan, ...one.plan, address: first.server.address }, cpu: 0, calls: 0 },
        { server, plan: { ...plan, ...other.plan, address: server.address }, cpu: 0, calls: 0 },
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
      return sides.map(({ cpu, calls }) => cpu / calls) as [number, number];
    }),
  );
}
