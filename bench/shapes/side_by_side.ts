import type { Plan } from "../load/load.js";
import type { Bench, Lab, Scale } from "../run/lab.js";
import type { ServerUnderTest, SubjectName } from "../run/subject.js";

const TOGETHER = 10;

/** What is done to each server, as a shape says it before it says to which. */
export const WHAT_IS_DONE = `calls on one connection, ${TOGETHER} at a time, in a channel without readers`;

const WARM_TIMES = 4;
/** The servers are loaded in turn, so that whatever else the machine does meets them alike. */
const TURNS = 6;
const CALLS = {
  protocol: "presence",
  channels: 1,
  readersPerChannel: 0,
  members: TOGETHER,
  connections: 1,
} as const;

/** One of the servers that are compared. */
export interface Side {
  /** What its server is started with. */
  readonly settings: object;
  /** How its calls differ. */
  readonly plan?: Partial<Plan>;
}

/** The CPU time of SetState on servers with different settings, in µs a call for each. */
export async function sideBySide<const Sides extends readonly Side[]>(
  subject: SubjectName,
  lab: Lab,
  ...sides: Sides
): Promise<{ -readonly [Index in keyof Sides]: number }> {
  const costs = await compare(subject, lab, sides, []);
  return costs as { -readonly [Index in keyof Sides]: number };
}

/** A server under load, and what its calls have cost it. */
interface Loaded {
  readonly server: ServerUnderTest;
  readonly plan: Plan;
  cpu: number;
  calls: number;
}

/** Starts the servers of those sides that have none yet, one within the other, and loads all in turn. */
function compare(
  subject: SubjectName,
  lab: Lab,
  [side, ...rest]: readonly Side[],
  loaded: Loaded[],
): Promise<number[]> {
  return lab.with(subject, { rollcall: side!.settings }, async ({ server, load }) => {
    const plan: Plan = { ...CALLS, ...side!.plan, address: server.address };
    const all = [...loaded, { server, plan, cpu: 0, calls: 0 }];
    if (rest.length > 0) return compare(subject, lab, rest, all);
    return loadInTurn(all, load, lab.scale);
  });
}

async function loadInTurn(all: Loaded[], load: Bench["load"], { warmSeconds, seconds }: Scale): Promise<number[]> {
  const fire = async ({ server, plan }: Loaded, forSeconds: number) => {
    await load.call("open", plan);
    const start = await server.cpu();
    const { changes } = await load.call("fire", { seconds: forSeconds, burst: TOGETHER, where: "alone" });
    return { cpu: (await server.cpu()) - start, calls: changes };
  };
  for (const one of all) await fire(one, warmSeconds * WARM_TIMES);
  for (let turn = 0; turn < TURNS; turn++) {
    for (const one of all) {
      const { cpu, calls } = await fire(one, seconds / 2);
      one.cpu += cpu;
      one.calls += calls;
    }
  }
  return all.map(({ cpu, calls }) => cpu / calls);
}
