import { Presets, SingleBar } from "cli-progress";

/** Says how far the bench is: a bar on a terminal, a line per sample elsewhere. Both go to stderr. */
export interface Progress {
  begin(what: string): void;
  done(): void;
  /** A line that stays. */
  note(text: string): void;
  stop(): void;
}

/** Shows the way through `total` samples. */
export function showProgress(total: number): Progress {
  return process.stderr.isTTY ? bar(total) : lines(total);
}

function bar(total: number): Progress {
  const format = "{bar} {value}/{total} · {eta_formatted} left · {what}";
  const shown = new SingleBar(
    { format, hideCursor: true, etaBuffer: 20, stream: process.stderr },
    Presets.shades_classic,
  );
  shown.start(total, 0, { what: "" });
  return {
    begin: (what) => shown.update({ what }),
    done: () => shown.increment(),
    note: (text) => process.stderr.write(`\r\x1b[K${text}\n`),
    stop: () => shown.stop(),
  };
}

function lines(total: number): Progress {
  let finished = 0;
  return {
    begin: (what) => process.stderr.write(`${finished + 1}/${total} ${what}\n`),
    done: () => finished++,
    note: (text) => process.stderr.write(`${text}\n`),
    stop: () => {},
  };
}
