import { answer } from "../support/remote.js";
import type { Outcome } from "./attack.js";
import { ATTACKS } from "./attacks.js";

/*
 * An attacker in a process of its own: what its work costs is not to be taken for what the server makes others wait.
 */

let outcome: Outcome | undefined;

const calls = {
  /** Carries an attack out; its connections stay open until `end`. */
  attack: async (name: string, address: string): Promise<Omit<Outcome, "end">> => {
    outcome = await ATTACKS[name]!.attack(address);
    const { connections, closed, sent } = outcome;
    return { connections, closed, sent };
  },
  /** Ends what the last attack still holds open. */
  end: (): void => {
    outcome?.end();
    outcome = undefined;
  },
};

/** What the parent may ask. */
export type AttackerCalls = typeof calls;

answer(calls as never);
