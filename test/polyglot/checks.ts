/** Checks that are carried out one after the other, with a line printed about each. */
export class Checks {
  #passed = true;

  /** Whether all have passed so far. */
  get passed(): boolean {
    return this.#passed;
  }

  /** Carries out a check, which rejects when it fails and may resolve with figures for its line. */
  async check(name: string, what: () => Promise<unknown>): Promise<void> {
    try {
      const figures = await what();
      console.log(`ok       ${name}${typeof figures === "string" ? `: ${figures}` : ""}`);
    } catch (error) {
      this.#passed = false;
      console.log(`FAILED   ${name}: ${(error as Error).message}`);
    }
  }
}
