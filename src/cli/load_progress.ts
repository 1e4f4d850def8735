import { Presets, SingleBar } from "cli-progress";
import type { Io } from "./io.js";
import type { LoadProgress } from "./load_run.js";

/** A progress that can be taken off the screen. */
export interface ShownProgress extends LoadProgress {
  end(): void;
}

/** A bar on the terminal of stderr. */
export function progressBar({ stderr, env }: Io): ShownProgress {
  const format = "{what} {bar} {percentage} %";
  const options = { format, hideCursor: true, clearOnComplete: true, stopOnComplete: false, fps: 10 };
  const bar = new SingleBar(
    { ...options, stream: stderr as NodeJS.WritableStream },
    env.LANG?.includes("UTF-8") ? Presets.shades_classic : Presets.legacy,
  );
  return {
    begin: (what, steps) => bar.start(steps, 0, { what: what.padEnd(8) }),
    at: (steps) => bar.update(steps),
    end: () => bar.stop(),
  };
}

/** Nothing to be seen, where stderr is no terminal. */
export const noProgress: ShownProgress = { begin: () => {}, at: () => {}, end: () => {} };
