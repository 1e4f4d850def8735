import { mintToken } from "../../src/auth/mint.js";
import type { Lab } from "../run/lab.js";
import type { SubjectName } from "../run/subject.js";
import { NO_LIMITS } from "./fan_out.js";
import { own, type Sample, type Shape } from "./shape.js";
import { sideBySide, WHAT_IS_DONE } from "./side_by_side.js";

const SECRET = "a secret of the bench, long enough to be one";

/** What it costs the server to find out who calls, when it has seen the token before. */
export const AUTH: Shape = {
  name: "auth",
  title: "SetState with a token, against the same without",
  about: () =>
    `${WHAT_IS_DONE}; to a server that asks for tokens ` +
    "(HS256, verified once, then remembered; with rights in five patterns and one to act for others), and to two that " +
    "believe their callers, of whom those of one send the token all the same, in turn.",
  subjects: ["rollcall"],
  quick: [],
  columns: [
    { key: "trusted", heading: "CPU µs / call, without", digits: 1 },
    { key: "ignored", heading: "with a token that is ignored", digits: 1 },
    { key: "token", heading: "with a token that is asked for", digits: 1 },
    { key: "ratio", heading: "asked for / without", digits: 2 },
    { key: "own", heading: "asked for / ignored", digits: 2 },
  ],
  targets: [own("SetState's CPU with a token, of that without", 1.15, "×", (sample) => sample.ratio!)],
  measure,
};

async function measure(subject: SubjectName, lab: Lab): Promise<Sample> {
  const patterns = ["room:*", "game:*", "lobby", "team:*", "c*"];
  const token = await mintToken({
    userId: "bench",
    presence: {
      channels: patterns.map((pattern) => ({ pattern, allow: ["subscribe", "write", "read"] })),
      act_as: ["m*"],
    },
    lifeMs: 3_600_000,
    secret: SECRET,
  });
  const trusting = { settings: NO_LIMITS.rollcall };
  const ignoring = { ...trusting, plan: { token } };
  const asking = { settings: { ...NO_LIMITS.rollcall, tokenSecret: SECRET }, plan: { token } };
  const [trusted, ignored, asked] = await sideBySide(subject, lab, trusting, ignoring, asking);
  return { trusted, ignored, token: asked, ratio: asked / trusted, own: asked / ignored };
}
