import type { IdleOrder } from "../load/idle.js";
import type { Lab, Scale } from "../run/lab.js";
import type { SubjectName } from "../run/subject.js";
import { NO_LIMITS } from "./fan_out.js";
import { explained, type Run, type Sample, type Shape, type Target } from "./shape.js";

const CONNECTIONS = 10;
const readers = (scale: Scale) => (scale.quick ? 300 : 5000);

/** What a reader costs that only waits, beyond the stream that carries it. */
export const IDLE_READER: Shape = {
  name: "idle_reader",
  title: "Memory of an idle reader",
  about: (scale) =>
    `${readers(scale)} streams over ${CONNECTIONS} connections, of which nothing more is asked; memory after a full collection, ` +
    "less what it was with a few hundred. Listeners are quiet sessions in one channel; members are present users in " +
    "channels of ten, their user, their session and a tenth of a channel included.",
  subjects: ["rollcall", "grpc_ready", "floor"],
  quick: ["rollcall", "grpc_ready"],
  columns: [
    { key: "listener", heading: "bytes / listener", digits: 0 },
    { key: "listenerRss", heading: "RSS bytes / listener", digits: 0 },
    { key: "member", heading: "bytes / member", digits: 0 },
    { key: "memberRss", heading: "RSS bytes / member", digits: 0 },
  ],
  targets: [beyond("listener", "a listener"), explained(beyond("member", "a member who listens"), "008")],
  measure,
};

function beyond(key: string, who: string): Target {
  return {
    text: `memory of ${who} beyond an idle grpc-js stream`,
    atMost: 2048,
    unit: " bytes",
    value: (run: Run) => {
      const [ours, theirs] = [run.rollcall?.[key], run.grpc_ready?.[key]];
      return ours === undefined || theirs === undefined ? undefined : ours - theirs;
    },
  };
}

async function measure(subject: SubjectName, lab: Lab): Promise<Sample> {
  const count = readers(lab.scale);
  const listener = await perStream(subject, lab, { by: "quiet streams", channels: 1, perChannel: count });
  const member = await perStream(subject, lab, { by: "streams", channels: count / 10, perChannel: 10 });
  return { listener: listener.heap, listenerRss: listener.rss, member: member.heap, memberRss: member.rss };
}

type Size = Pick<IdleOrder, "by" | "channels" | "perChannel">;

function perStream(subject: SubjectName, lab: Lab, size: Size) {
  return lab.with(subject, NO_LIMITS, async ({ server, load }) => {
    const base = { address: server.address, connections: CONNECTIONS };
    await load.call("bringIn", { ...base, prefix: "warm", by: size.by, channels: 20, perChannel: 10 });
    const before = await server.memory();
    const count = await load.call("bringIn", { ...base, prefix: "c", ...size });
    const after = await server.memory();
    return { heap: (after.heap - before.heap) / count, rss: (after.rss - before.rss) / count };
  });
}
