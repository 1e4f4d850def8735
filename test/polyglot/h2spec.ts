import { execFile } from "node:child_process";
import { once } from "node:events";
import { readFileSync } from "node:fs";
import { createServer, type ServerHttp2Session } from "node:http2";
import type { AddressInfo } from "node:net";
import path from "node:path";

/** As the Go module proxy has it. */
export const H2SPEC = "github.com/summerwind/h2spec/cmd/h2spec@v2.2.1+incompatible";

/**
 * How often in a row a case must fail to count. Some cases send a frame on a stream that the server is about to close,
 * and Node's answer depends on which comes first: of 12 runs of section 5.1, 1 failed such a case.
 */
const RUNS = 3;

/** How long one run may take, in ms: a tenth of the cases wait 2 s for an answer that must not come. */
const RUN_MS = 180_000;

/** The outcome of a run: cases by `section: title`. */
interface Outcome {
  readonly passed: ReadonlySet<string>;
  readonly failed: ReadonlySet<string>;
}

/**
 * Runs h2spec against the server at `address` and against a bare `node:http2` server in this process. Throws if a case
 * fails against the server and passes against the bare one in `RUNS` runs; what Node itself gets wrong is not the
 * server's. Returns the figures.
 */
export async function checkHttp2(cache: string, address: string): Promise<string> {
  const bare = createServer();
  const sessions = new Set<ServerHttp2Session>();
  bare.on("session", (session) => sessions.add(session.once("close", () => sessions.delete(session))));
  bare.on("stream", (stream) => {
    stream.on("error", () => {});
    stream.respond({ ":status": 200, "content-type": "text/plain" });
    stream.end("hello");
  });
  bare.listen(0, "127.0.0.1");
  await once(bare, "listening");
  try {
    const port = (bare.address() as AddressInfo).port;
    let worse: string[] | undefined;
    for (let run = 1; run <= RUNS; run++) {
      const [node, server] = await Promise.all([
        h2spec(cache, `127.0.0.1:${port}`, "node"),
        h2spec(cache, address, "server"),
      ]);
      const isWorse = (name: string) => server.failed.has(name) && node.passed.has(name);
      worse = (worse ?? [...server.failed]).filter(isWorse);
      if (worse.length > 0) continue;
      const figures = ({ passed, failed }: Outcome) => `${passed.size} pass, ${failed.size} fail`;
      return `${figures(server)}; a bare node:http2 server: ${figures(node)}`;
    }
    throw new Error(`in ${RUNS} runs these pass against a bare node:http2 server:\n${worse!.join("\n")}`);
  } finally {
    bare.close();
    for (const session of sessions) session.destroy();
  }
}

async function h2spec(cache: string, address: string, name: string): Promise<Outcome> {
  const report = path.join(cache, `h2spec_${name}.xml`);
  const [host, port] = address.split(":") as [string, string];
  const args = ["-h", host, "-p", port, "-P", "/grpc.health.v1.Health/Check", "-j", report];
  // Its exit code says only that a case failed.
  await new Promise<void>((resolve, reject) => {
    execFile(path.join(cache, "h2spec"), args, { timeout: RUN_MS, maxBuffer: 16 * 1024 * 1024 }, (error) => {
      if (error && (error.killed || error.code !== 1)) reject(error);
      else resolve();
    });
  });
  return outcomeOf(readFileSync(report, "utf8"));
}

/** Reads a report in the JUnit format. A case that timed out, or found another answer, has an element within. */
function outcomeOf(xml: string): Outcome {
  const [passed, failed] = [new Set<string>(), new Set<string>()];
  const cases = /<testcase package="([^"]*)" classname="([^"]*)"[^>]*>(.*?)<\/testcase>/gs;
  for (const [, section, title, inner] of xml.matchAll(cases)) {
    if (inner!.includes("<skipped")) continue;
    (inner!.trim() === "" ? passed : failed).add(`${section}: ${title}`);
  }
  if (passed.size === 0) throw new Error("h2spec reported no case that passed");
  return { passed, failed };
}
