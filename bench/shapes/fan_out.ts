import type { Plan } from "../load/load.js";
import type { Lab, Scale } from "../run/lab.js";
import { SUBJECTS, type SubjectName } from "../run/subject.js";
import type { Column, Sample, Shape, Target } from "./shape.js";

/** What distinguishes one fan-out shape from another. */
export interface FanOut {
  name: string;
  title: string;
  channels: number;
  readersPerChannel: number;
  connections: number;
  burst: number;
  subjects: readonly SubjectName[];
  targets: readonly Target[];
  /** Subjects of a quick run. */
  quick: readonly SubjectName[];
  mostRuns?: number;
  /** Divides the number of readers in a quick run. */
  quickDivisor?: number;
}

/** No limit of the server's may stand in the way of a load test. */
export const NO_LIMITS = { rollcall: { announceMax: 1_000_000 } } as const;

const COLUMNS: readonly Column[] = [
  { key: "cpu", heading: "CPU µs / delivery", digits: 2 },
  { key: "fanOut", heading: "of which fan-out", digits: 2 },
  { key: "call", heading: "CPU µs / change, no readers", digits: 0 },
  { key: "perSecond", heading: "deliveries / s", digits: 0 },
  { key: "p50", heading: "p50 ms", digits: 2 },
  { key: "p99", heading: "p99 ms", digits: 2 },
  { key: "readers", heading: "readers' process, % of a core", digits: 0 },
  { key: "stall", heading: "longest stall ms", digits: 0 },
  { key: "joined", heading: "events / message", digits: 1 },
  { key: "bytes", heading: "bytes / delivery", digits: 0 },
];

/**
 * Changes go to channels with readers, one burst at a time: the next leaves when the last has reached everybody. So
 * single events stay single, and what is measured is the cost of a delivery, not of a queue.
 */
export function fanOut(form: FanOut): Shape {
  const scaled = (scale: Scale) => {
    const divisor = scale.quick ? (form.quickDivisor ?? 1) : 1;
    return form.channels > 1
      ? { channels: form.channels / divisor, readers: form.readersPerChannel }
      : { channels: 1, readers: form.readersPerChannel / divisor };
  };
  return {
    name: form.name,
    title: form.title,
    about: (scale) => {
      const { channels, readers } = scaled(scale);
      const where = channels > 1 ? `${channels} channels of ${readers} readers` : `one channel of ${readers} readers`;
      const what = form.channels > 1 ? "to as many channels, one change each" : "to the channel";
      const how =
        form.burst === 1 ? "Changes are sent one at a time" : `${form.burst} changes are sent in one write, ${what}`;
      return `${where}, over ${form.connections} connections. ${how}; the next follow when all readers have them.`;
    },
    subjects: form.subjects,
    columns: COLUMNS,
    targets: form.targets,
    mostRuns: form.mostRuns,
    quick: form.quick,
    measure: (subject, lab) => {
      const { channels, readers } = scaled(lab.scale);
      return measure(subject, lab, form.burst, {
        channels,
        readersPerChannel: readers,
        connections: Math.min(form.connections, channels * readers),
        members: form.channels > 1 ? 1 : form.burst,
      });
    },
  };
}

const WARM_BURST = 10;

type Size = Omit<Plan, "protocol" | "address">;

function measure(subject: SubjectName, lab: Lab, burst: number, size: Size): Promise<Sample> {
  const { warmSeconds, seconds } = lab.scale;
  return lab.with(subject, { ...NO_LIMITS, burst }, async ({ server, load }) => {
    await load.call("open", { ...size, protocol: SUBJECTS[subject].protocol, address: server.address });
    // With a thousand readers so few calls are made that they alone would not get the server's code compiled.
    await load.call("fire", { seconds: warmSeconds * 3, burst: WARM_BURST, where: "alone" });
    await load.call("fire", { seconds: warmSeconds, burst, where: "readers" });

    await server.stall();
    const start = await server.cpu();
    const heard = await load.call("fire", { seconds, burst, where: "readers" });
    const middle = await server.cpu();
    const stall = await server.stall();
    const unheard = await load.call("fire", { seconds: Math.max(0.3, seconds / 4), burst, where: "alone" });
    const end = await server.cpu();
    await load.call("verify");

    const cpu = (middle - start) / heard.deliveries;
    const call = (end - middle) / unheard.changes;
    return {
      cpu,
      fanOut: cpu - (call * heard.changes) / heard.deliveries,
      call,
      perSecond: heard.deliveries / heard.seconds,
      p50: heard.p50 / 1000,
      p99: heard.p99 / 1000,
      readers: heard.busy * 100,
      stall,
      joined: heard.messages > 0 ? heard.deliveries / heard.messages : Number.NaN,
      bytes: heard.bytes / heard.deliveries,
    };
  });
}
