import type { Lab, Scale } from "../run/lab.js";
import type { SubjectName } from "../run/subject.js";
import { NO_LIMITS } from "./fan_out.js";
import type { Sample, Shape } from "./shape.js";

const CONNECTIONS = 20;
const PER_CHANNEL = 10;
const channels = (scale: Scale) => (scale.quick ? 200 : 10_000);

/** A large, quiet house: very many members of very many small channels. */
export const IDLE_MEMBERS: Shape = {
  name: "idle_members",
  title: "100,000 idle members over 10,000 channels",
  about: (scale) =>
    `${channels(scale)} channels of ${PER_CHANNEL} members, brought in by JoinChannel leases, or by streams where the server does not ` +
    "answer it; memory after a full collection, less what it was before.",
  subjects: ["rollcall"],
  quick: ["rollcall"],
  columns: [
    { key: "bytes", heading: "bytes / member", digits: 0 },
    { key: "rss", heading: "RSS bytes / member", digits: 0 },
    { key: "cpu", heading: "CPU µs / join", digits: 0 },
    { key: "byLease", heading: "by lease, %", digits: 0 },
    { key: "stall", heading: "longest stall ms", digits: 0 },
  ],
  targets: [],
  mostRuns: 1,
  measure,
};

function measure(subject: SubjectName, lab: Lab): Promise<Sample> {
  return lab.with(subject, NO_LIMITS, async ({ server, load }) => {
    const order = { address: server.address, connections: CONNECTIONS, perChannel: PER_CHANNEL };
    const trial = { ...order, connections: 1, prefix: "trial", channels: 20 };
    const by = await load.call("bringIn", { ...trial, by: "leases" }).then(
      () => "leases" as const,
      () => "streams" as const,
    );
    await load.call("bringIn", { ...trial, prefix: "warm", by });
    const before = await server.memory();
    await server.stall();
    const start = await server.cpu();
    const members = await load.call("bringIn", { ...order, prefix: "c", channels: channels(lab.scale), by });
    const cpu = (await server.cpu()) - start;
    const stall = await server.stall();
    const after = await server.memory();
    return {
      bytes: (after.heap - before.heap) / members,
      rss: (after.rss - before.rss) / members,
      cpu: cpu / members,
      byLease: by === "leases" ? 100 : 0,
      stall,
    };
  });
}
