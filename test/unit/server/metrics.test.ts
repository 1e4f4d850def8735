import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import type { Engine } from "../../../src/engine/engine.js";
import type { Feed } from "../../../src/fanout/feed.js";
import type { Hub } from "../../../src/fanout/hub.js";
import type { GrpcServer } from "../../../src/rpc/grpc_server.js";
import type { LogWriter } from "../../../src/server/log_writer.js";
import { Metrics } from "../../../src/server/metrics.js";

describe("server: metrics", () => {
  let metrics: Metrics;
  let url: string;
  const readers = { live: 5, lagging: 2, resyncing: 1 };
  const watchers = { live: 4, lagging: 3, resyncing: 6 };

  beforeEach(async () => {
    metrics = new Metrics({
      engine: {
        stats: () => ({ channels: 3, present: 7, sessions: 9 }),
        usages: () =>
          new Map([
            ["chat", { channels: 1, members: 2, pending: 3, streams: 4, bytes: 500, logBytes: 6 }],
            ["", { channels: 2, members: 0, pending: 4, streams: 0, bytes: 100, logBytes: 0 }],
          ]),
      } as unknown as Engine,
      memory: { usedBytes: 1000, limitBytes: 2000 },
      perApp: true,
      hub: { stats: () => ({ channels: 1, readers, delivered: 123 }) } as unknown as Hub,
      feed: { stats: () => ({ watchers, delivered: 1000 }) } as unknown as Feed,
      logWriter: { dropped: 11 } as LogWriter,
      grpc: { connections: 4, refusedConnections: 5, delayedCalls: 6, unreadBytes: 8 } as GrpcServer,
    });
    const { host, port } = await metrics.listen({ host: "127.0.0.1", port: 0 });
    url = `http://${host}:${port}`;
  });
  afterEach(() => metrics.close());

  /** The values of a scrape, by name and labels. */
  async function scrape(): Promise<Map<string, string>> {
    const response = await fetch(`${url}/metrics`);
    assert.match(response.headers.get("content-type")!, /^text\/plain/);
    const lines = (await response.text()).split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    return new Map(lines.map((line) => [line.slice(0, line.lastIndexOf(" ")), line.slice(line.lastIndexOf(" ") + 1)]));
  }

  it("shows what there is at the moment of asking", async () => {
    const values = await scrape();
    assert.equal(values.get("rollcall_connections"), "4");
    assert.equal(values.get("rollcall_refused_connections"), "5");
    assert.equal(values.get("rollcall_delayed_calls"), "6");
    assert.equal(values.get("rollcall_dropped_log_lines"), "11");
    assert.equal(values.get("rollcall_unread_bytes"), "8");
    assert.equal(values.get("rollcall_channels"), "3");
    assert.equal(values.get("rollcall_present"), "7");
    assert.equal(values.get("rollcall_sessions"), "9");
    assert.equal(values.get("rollcall_delivered_events"), "1123");
    assert.equal(values.get("rollcall_kept_bytes"), "600");
    assert.equal(values.get("rollcall_pending_states"), "7");
    assert.equal(values.get("rollcall_memory_used_bytes"), "1000");
    assert.equal(values.get("rollcall_memory_limit_bytes"), "2000");
    const ofChat = ["channels", "members", "bytes", "pending", "streams"].map((quota) =>
      values.get(`rollcall_app_usage{app="chat",quota="${quota}"}`),
    );
    assert.deepEqual(ofChat, ["1", "2", "500", "3", "4"]);
    assert.ok(values.has("process_cpu_seconds_total"));
  });

  it("S16a shows how many readers are slow", async () => {
    const values = await scrape();
    for (const [state, count] of Object.entries(readers)) {
      assert.equal(values.get(`rollcall_readers{state="${state}"}`), String(count));
    }
    for (const [state, count] of Object.entries(watchers)) {
      assert.equal(values.get(`rollcall_watchers{state="${state}"}`), String(count));
    }
  });

  it("counts calls by method and reason, and how long they took", async () => {
    metrics.onCall("SetState", "OK", 0.002);
    metrics.onCall("SetState", "OK", 0.2);
    metrics.onCall("SetState", "STATE_COUNT_OVERFLOW", 0.002);
    const values = await scrape();
    assert.equal(values.get('rollcall_calls_total{method="SetState",reason="OK"}'), "2");
    assert.equal(values.get('rollcall_calls_total{method="SetState",reason="STATE_COUNT_OVERFLOW"}'), "1");
    assert.equal(values.get('rollcall_call_seconds_count{method="SetState"}'), "3");
    assert.equal(values.get('rollcall_call_seconds_bucket{le="0.005",method="SetState"}'), "2");
  });

  it("are the ones that docs/operations.md explains, and the documents name no others", async () => {
    const text = await (await fetch(`${url}/metrics`)).text();
    const served = new Set([...text.matchAll(/^# TYPE (rollcall_\w+) /gm)].map(([, name]) => name!));
    const named = (file: string) => new Set(readFileSync(file, "utf8").match(/\brollcall_\w+/g) ?? []);
    assert.deepEqual([...named("docs/operations.md")].sort(), [...served].sort());
    for (const file of ["README.md", "docs/security.md", "docs/guarantees.md", "docs/clients.md", "docs/proxies.md"])
      for (const name of named(file)) assert.ok(served.has(name), `${file}: ${name}`);
  });

  it("has nothing anywhere else", async () => {
    for (const path of ["/", "/metrics/", "/favicon.ico"]) assert.equal((await fetch(url + path)).status, 404);
  });

  it("rejects where it cannot listen", async () => {
    const other = new Metrics({} as never);
    const port = Number(new URL(url).port);
    await assert.rejects(other.listen({ host: "127.0.0.1", port }), { code: "EADDRINUSE" });
    other.close();
  });
});
