import type { Lab, Scale } from "../run/lab.js";
import type { SubjectName } from "../run/subject.js";
import { NO_LIMITS } from "./fan_out.js";
import { own, type Sample, type Shape } from "./shape.js";

const CHANNELS = 1000;
/** A third of the default life of a lease: how often it is to be renewed. */
const PERIOD_SECONDS = 10;
/** How often it is renewed here, and lives three times that: the same work in less time. */
const EVERY_MS = 1000;
const HELD = 50_000;
const leases = (scale: Scale) => (scale.quick ? 5000 : HELD);
const WARM_ROUNDS = 3;
/** As many as see each lease's deadline come up twice. */
const rounds = (scale: Scale) => (scale.quick ? 1 : 6);

/** What it costs a back end's many users to stay present. */
export const HEARTBEAT: Shape = {
  name: "heartbeat",
  title: "Heartbeats of one back end for 50,000 leases",
  about: (scale) =>
    `${leases(scale)} leases in ${CHANNELS} channels that live ${(3 * EVERY_MS) / 1000} s, renewed every ${EVERY_MS / 1000} s, 1000 to a call, one call after the ` +
    `other. The share of a core is what ${HELD} leases would take that are renewed every ${PERIOD_SECONDS} s.`,
  subjects: ["rollcall"],
  quick: [],
  columns: [
    { key: "micros", heading: "CPU µs / renewal", digits: 2 },
    { key: "share", heading: "% of a core", digits: 2 },
    { key: "stall", heading: "longest stall ms", digits: 0 },
  ],
  targets: [
    own(`CPU of ${HELD} leases renewed every ${PERIOD_SECONDS} s`, 2, " % of a core", (sample) => sample.share!),
  ],
  measure,
};

function measure(subject: SubjectName, lab: Lab): Promise<Sample> {
  return lab.with(subject, NO_LIMITS, async ({ server, load }) => {
    const users = leases(lab.scale);
    const order = { address: server.address, users, channels: CHANNELS, prefix: "lease", perSecond: 0 };
    await load.call("takeLeases", order);
    await load.call("renew", { rounds: WARM_ROUNDS, everyMs: EVERY_MS });
    await server.stall();
    const start = await server.cpu();
    const renewals = await load.call("renew", { rounds: rounds(lab.scale), everyMs: EVERY_MS });
    const micros = ((await server.cpu()) - start) / renewals;
    return { micros, share: ((micros * HELD) / (PERIOD_SECONDS * 1e6)) * 100, stall: await server.stall() };
  });
}
