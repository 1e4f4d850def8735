import type { Import } from "./imports.js";

/** Where a room's files may import from: a room, one file of a room, or either for types alone. */
type Arrow = string | { readonly types: string };

/**
 * The rooms of `src/` and the arrows between them. Within its room a file may import what it likes. `gen` stands
 * for the generated code.
 */
const ARROWS: Readonly<Record<string, readonly Arrow[]>> = {
  time: [],
  model: [],
  channel: ["model", { types: "time" }],
  engine: ["model", "channel", "time"],
  fanout: ["model", "time"],
  // What wire implements of other rooms' ports it knows by their types.
  wire: ["model", "gen", { types: "fanout" }, { types: "channel" }],
  // No engine but by the port.
  service: ["model", "channel", "src/engine/engine.ts", "fanout", "wire", "time", "gen"],
  // Knows who may do what, by the words of the model, and no transport.
  auth: ["model"],
  // An open call is a Sink of the fan-out, which rpc knows by its type alone.
  rpc: ["service", "wire", "model", "gen", { types: "fanout" }, { types: "time" }],
  server: ["time", "model", "auth", "channel", "engine", "fanout", "wire", "service", "rpc"],
  client: ["gen"],
  cli: ["client"],
};

/** Files that may import more than their room. */
const FILE_ARROWS: Readonly<Record<string, readonly Arrow[]>> = {
  "src/cli/serve.ts": ["server"],
  "src/cli/banner.ts": ["server"],
  "src/cli/environment.ts": ["server"],
  "src/cli/token.ts": ["auth", "model"],
};

/** The packages and `node:` modules that a room may import, for rooms that may not import just any. */
const PACKAGES: Readonly<Record<string, readonly string[]>> = {
  model: [],
  channel: [],
  fanout: ["node:buffer"],
  time: ["node:timers"],
};

/** The names of the rooms. */
export const ROOMS = Object.keys(ARROWS);

/** The room that a file of `src/` is in; undefined when it is in none. */
export function roomOf(file: string): string | undefined {
  return ROOMS.find((room) => file.startsWith(`src/${room}/`));
}

/** A sentence for each import that no arrow allows, with file, import and what is allowed instead. */
export function forbidden(imports: readonly Import[]): string[] {
  return imports.flatMap((one) => {
    const why = whyForbidden(one);
    return why ? [`${one.file}:${one.line} imports ${one.target ?? "something computed"}: ${why}`] : [];
  });
}

function whyForbidden({ file, target, typeOnly }: Import): string | undefined {
  const room = roomOf(file);
  if (!room) return `the file is in none of the rooms ${ROOMS.join(", ")}`;
  if (target === undefined) return "nobody can read off where the arrow points; import by a constant name";

  const targetRoom = target.startsWith("gen/") ? "gen" : roomOf(target);
  if (targetRoom === room) return undefined;
  if (targetRoom === undefined) {
    if (/^(?:src|test|bench|scripts|\.\.)\//.test(target)) return "it is in none of the rooms";
    const packages = PACKAGES[room];
    if (!packages || packages.includes(target)) return undefined;
    return `${room} may import ${packages.length > 0 ? `no package but ${packages.join(", ")}` : "no package"}`;
  }

  const arrows = [...ARROWS[room]!, ...(FILE_ARROWS[file] ?? [])];
  const reaches = (place: string) => place === targetRoom || place === target;
  if (arrows.some((arrow) => (typeof arrow === "string" ? reaches(arrow) : typeOnly && reaches(arrow.types)))) {
    return undefined;
  }
  const allowed = arrows.map((arrow) => (typeof arrow === "string" ? arrow : `${arrow.types} (types only)`));
  return `${room} may import ${allowed.length > 0 ? allowed.join(", ") : "no other room"}`;
}
