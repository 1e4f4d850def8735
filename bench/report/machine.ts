import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { cpus, loadavg, platform, release, totalmem } from "node:os";
import { DAEMONS, onPath, versionOf } from "../run/daemons.js";

const LIBRARIES = ["@grpc/grpc-js", "@bufbuild/protobuf", "socket.io"];

/** Where the figures come from, as name and value. */
export function machine(): [string, string][] {
  const processors = cpus();
  return [
    ["Processor", `${processors[0]?.model.trim() ?? "unknown"}, ${processors.length} cores`],
    ["Memory", `${Math.round(totalmem() / 2 ** 30)} GiB`],
    ["Kernel", `${platform()} ${release()}`],
    ["Node", process.version],
    [
      "Load average at the end",
      loadavg()
        .map((load) => load.toFixed(1))
        .join(", "),
    ],
    ["Libraries", LIBRARIES.map((name) => `${name} ${libraryVersion(name)}`).join(", ")],
    ...Object.values(DAEMONS)
      .filter(({ command }) => onPath(command))
      .map((daemon): [string, string] => [daemon.command, versionOf(daemon)]),
  ];
}

/** Reads the version beside the library's entry point: not every package lets its package.json be imported. */
function libraryVersion(name: string): string {
  const entry = createRequire(import.meta.url).resolve(name);
  const root = entry.slice(0, entry.lastIndexOf(`/node_modules/${name}/`) + `/node_modules/${name}/`.length);
  return (JSON.parse(readFileSync(`${root}package.json`, "utf8")) as { version: string }).version;
}
