import { relative } from "node:path";
import fc from "fast-check";

/** How a property is tried. */
export interface PropertyOptions {
  /** How many random cases. Default 200. `ROLLCALL_RUNS` in the environment multiplies it, for a long night. */
  readonly runs?: number;
}

/** What a property holds, or throws about. A promise is waited for. */
export type Holds<Values extends [unknown, ...unknown[]]> = (...values: Values) => void | Promise<void>;

type Arbitraries<Values extends [unknown, ...unknown[]]> = { [Index in keyof Values]: fc.Arbitrary<Values[Index]> };

/**
 * A mocha test that tries `holds` with random values, and names the command that replays a failure.
 *
 * `ROLLCALL_SEED` and `ROLLCALL_PATH`, as a failure prints them, bring back exactly the case that failed.
 */
export function property<Values extends [unknown, ...unknown[]]>(
  title: string,
  arbitraries: Arbitraries<Values>,
  holds: Holds<Values>,
  { runs = 200 }: PropertyOptions = {},
): void {
  it(title, async function () {
    const { ROLLCALL_SEED: seed, ROLLCALL_PATH: path, ROLLCALL_RUNS: times } = process.env;
    const tried = fc.asyncProperty<Values>(...arbitraries, async (...values) => holds(...values));
    const details = await fc.check(tried, {
      numRuns: runs * Number(times ?? 1),
      ...(seed === undefined ? {} : { seed: Number(seed) }),
      ...(path === undefined ? {} : { path, endOnFailure: true }),
    });
    if (details.failed) throw failure(details, this.test);
  });
}

function failure<Values>(details: fc.RunDetails<Values>, test: Mocha.Runnable | undefined): Error {
  const file = test?.file ? relative(process.cwd(), test.file) : "the test's file";
  const replay = `ROLLCALL_SEED=${details.seed} ROLLCALL_PATH=${details.counterexamplePath} npx mocha --spec ${file} --fgrep ${JSON.stringify(test?.title ?? "")}`;
  const cause = details.errorInstance;
  return new Error(`replay with:\n  ${replay}\n\n${fc.defaultReportMessage(details)}`, { cause });
}
