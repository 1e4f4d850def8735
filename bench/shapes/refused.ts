import type { Lab } from "../run/lab.js";
import type { SubjectName } from "../run/subject.js";
import { NO_LIMITS } from "./fan_out.js";
import { own, type Sample, type Shape } from "./shape.js";
import { sideBySide, WHAT_IS_DONE } from "./side_by_side.js";

/** Whether a caller who calls too often is a smaller burden refused than served (S21). */
export const REFUSED: Shape = {
  name: "refused",
  title: "SetState refused with RATE_LIMITED, against the same served",
  about: () =>
    `${WHAT_IS_DONE}; to a server that serves each user once a second and ` +
    "refuses the rest, details of the error included, and to one that serves all, in turn.",
  subjects: ["rollcall"],
  quick: [],
  columns: [
    { key: "served", heading: "CPU µs / call, served", digits: 1 },
    { key: "refused", heading: "CPU µs / call, refused", digits: 1 },
    { key: "ratio", heading: "ratio", digits: 2 },
  ],
  targets: [own("SetState's CPU refused, of that served", 1, "×", (sample) => sample.ratio!)],
  measure,
};

async function measure(subject: SubjectName, lab: Lab): Promise<Sample> {
  const serving = { settings: NO_LIMITS.rollcall };
  const refusing = { settings: { ...NO_LIMITS.rollcall, rateLimit: 1, rateBurst: 1 }, plan: { mayBeRefused: true } };
  const [served, refused] = await sideBySide(subject, lab, serving, refusing);
  return { served, refused, ratio: refused / served };
}
