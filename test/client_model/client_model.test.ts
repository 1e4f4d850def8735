import assert from "node:assert/strict";
import { Actions } from "./actions.js";
import { end, rest } from "./at_rest.js";
import { planOf } from "./commands.js";
import { Round } from "./round.js";

const FILE = "test/client_model/client_model.test.ts";
const SEED = Number(process.env.ROLLCALL_CLIENT_MODEL_SEED ?? Math.floor(Math.random() * 2 ** 31));
const ROUNDS = Number(process.env.ROLLCALL_CLIENT_MODEL_ROUNDS ?? 6);
/** Rounds wait most of the time, for delays of the client and for the machine's network. */
const AT_ONCE = 6;
const ROUND_MS = 120_000;

/** Carries a round out; throws what was different, with all that was done. */
async function play(seed: number): Promise<void> {
  const plan = planOf(seed);
  const round = await Round.start(plan, { withDeviceIds: true });
  const actions = new Actions(round);
  try {
    for (const part of plan.parts) {
      for (const step of part) await actions.carryOut(step);
      actions.trace.push(`${round.now()} rest`);
      await rest(round);
    }
    await end(round);
  } catch (error) {
    const replay = `ROLLCALL_CLIENT_MODEL_SEED=${seed} ROLLCALL_CLIENT_MODEL_ROUNDS=1 npx mocha --spec ${FILE}`;
    const what = error instanceof Error ? error.message : String(error);
    const trace = [JSON.stringify(plan.settings), ...actions.trace].join("\n");
    throw new Error(`replay with:\n  ${replay}\n\n${what}\n\nwhat was done:\n${trace}\n`, { cause: error });
  } finally {
    await round.close();
  }
}

describe(`the client, compared with a model: ${ROUNDS} rounds from seed ${SEED}`, function () {
  this.timeout(ROUNDS * ROUND_MS);
  const warnings: Error[] = [];
  const onWarning = (warning: Error): void => void warnings.push(warning);
  const onUnhandled = (): void => console.error(`an unhandled rejection in a round from seed ${SEED}`);

  before(() => {
    process.on("warning", onWarning);
    process.on("unhandledRejection", onUnhandled);
  });

  after(() => {
    process.off("warning", onWarning);
    process.off("unhandledRejection", onUnhandled);
  });

  it("agrees with the server about members, events and the user's own state whenever all is at rest", async () => {
    const failures: Error[] = [];
    const seeds = Array.from({ length: ROUNDS }, (_, n) => SEED + n).values();
    const players = Array.from({ length: AT_ONCE }, async () => {
      for (const seed of seeds) await play(seed).catch((error) => failures.push(error));
    });
    await Promise.all(players);
    const [first, ...others] = failures;
    for (const { message } of others) console.error(`${message.split("\n\nwhat was done")[0]}\n`);
    if (first) throw first;
    assert.deepEqual(warnings, []);
  });
});
