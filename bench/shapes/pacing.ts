import type { Lab } from "../run/lab.js";
import type { SubjectName } from "../run/subject.js";
import { NO_LIMITS } from "./fan_out.js";
import type { Sample, Shape } from "./shape.js";
import { sideBySide, WHAT_IS_DONE } from "./side_by_side.js";

/** What looking after the pace of connections costs those who keep it. */
export const PACING: Shape = {
  name: "pacing",
  title: "SetState with the reading of connections paced, against the same without",
  about: () =>
    `${WHAT_IS_DONE}; to a server that reads no connection faster than ` +
    "4 MiB a second (the default), and to one that reads as fast as bytes come, in turn.",
  subjects: ["rollcall"],
  quick: [],
  columns: [
    { key: "free", heading: "CPU µs / call, without", digits: 1 },
    { key: "paced", heading: "CPU µs / call, paced", digits: 1 },
    { key: "ratio", heading: "ratio", digits: 2 },
  ],
  targets: [],
  measure,
};

async function measure(subject: SubjectName, lab: Lab): Promise<Sample> {
  const { maxConnectionBytesPerSecond: _, ...withPace } = NO_LIMITS.rollcall;
  const [withoutPace, paced] = await sideBySide(subject, lab, { settings: NO_LIMITS.rollcall }, { settings: withPace });
  return { free: withoutPace, paced, ratio: paced / withoutPace };
}
