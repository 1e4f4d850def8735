import { mkdirSync } from "node:fs";
import path from "node:path";
import { fileURLToPath } from "node:url";

/** The repository's root, with `/` at its end. */
export const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** A program that plays the scenario in one language, with one library. */
export interface Language {
  /** The folder of its stubs and builds in the cache; libraries that need the same ones share it. */
  readonly folder: string;
  /** Commands that must succeed where the toolchain is there, and how to get it when one does not. */
  readonly needs: readonly { readonly command: readonly string[]; readonly advice: string }[];
  /** Commands that make stubs and program; run in the repository's root. Nothing to do: fast. */
  readonly build: (cache: string) => readonly (readonly string[])[];
  /** The program, started in the repository's root. */
  readonly run: (cache: string) => readonly string[];
  /** The program of `examples/`, where there is one; address, channel and user are put behind it. */
  readonly example?: (cache: string) => readonly string[];
}

const typescript = (transport: string): Language => ({
  folder: "typescript",
  needs: [],
  // The example imports the client as its users do, from dist/.
  build: () => (transport === "nice-grpc" ? [["npm", "run", "--silent", "build"]] : []),
  run: () => [process.execPath, "--import", "tsx", "test/polyglot/typescript/runner.ts", transport],
  example:
    transport === "nice-grpc"
      ? () => [process.execPath, "--import", "tsx", "examples/typescript/watch_room.ts"]
      : undefined,
});

/** What every generator is given: the contract, and what it imports. */
const PROTOS = [
  "presence/v1/presence_service.proto",
  "presence/v1/presence.proto",
  "presence/v1/error_reason.proto",
  "buf/validate/validate.proto",
];

/** Python with the packages and stubs of the cache. */
function pythonOf(cache: string): string[] {
  return ["env", `PYTHONPATH=${path.join(cache, "stubs")}`, path.join(cache, "venv", "bin", "python")];
}

const python = (kind: "sync" | "aio"): Language => ({
  folder: "python",
  needs: [
    {
      command: ["python3", "-c", "import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 9))"],
      advice: "install Python 3.9 or newer with venv (Debian: apt install python3-venv)",
    },
  ],
  build: (cache) => {
    const stubs = path.join(cache, "stubs");
    mkdirSync(stubs, { recursive: true });
    const bin = path.join(cache, "venv", "bin");
    const out = [`--python_out=${stubs}`, `--grpc_python_out=${stubs}`];
    return [
      ["python3", "-m", "venv", path.join(cache, "venv")],
      [path.join(bin, "pip"), "install", "--quiet", "--requirement", "test/polyglot/python/requirements.txt"],
      [path.join(bin, "python"), "-m", "grpc_tools.protoc", "-I", "proto", "-I", "third_party", ...out, ...PROTOS],
    ];
  },
  run: (cache) => [...pythonOf(cache), "test/polyglot/python/runner.py", kind],
  example: kind === "sync" ? (cache) => [...pythonOf(cache), "examples/python/watch_room.py"] : undefined,
});

const go: Language = {
  folder: "go",
  needs: [{ command: ["go", "version"], advice: "install Go 1.26 or newer, or one that fetches its toolchain" }],
  build: (cache) => {
    const bin = path.join(cache, "bin");
    const example = path.join(cache, "example");
    const buf = ["env", `PATH=${bin}${path.delimiter}${process.env.PATH}`, "node_modules/.bin/buf", "generate"];
    const template = ["--template", "examples/go/buf.gen.yaml", "--output", example];
    mkdirSync(example, { recursive: true });
    return [
      ["cp", "-r", "test/polyglot/go/.", cache],
      ["env", `GOBIN=${bin}`, "go", "-C", cache, "install", "tool"],
      [...buf, "--template", "test/polyglot/go/buf.gen.yaml", "--output", cache],
      ["go", "-C", cache, "build", "-o", "runner", "."],
      ["cp", "-r", "examples/go/.", example],
      [...buf, "proto", ...template],
      [...buf, "third_party", "--path", "third_party/buf", ...template],
      ["go", "-C", example, "build", "-o", "watch_room", "."],
    ];
  },
  run: (cache) => [path.join(cache, "runner")],
  example: (cache) => [path.join(cache, "example", "watch_room")],
};

/** A class that Maven compiled, with its packages. */
function javaOf(target: string, main: string): string[] {
  return ["java", "-cp", `${path.join(target, "classes")}:${path.join(target, "dependency")}/*`, main];
}

const java: Language = {
  folder: "java",
  needs: [
    {
      command: ["javac", "--release", "17", "--version"],
      advice: "install a JDK, 17 or newer (Debian: apt install default-jdk)",
    },
    { command: ["mvn", "--version"], advice: "install Maven (Debian: apt install maven)" },
  ],
  build: (cache) => {
    const made = (source: string, folder: string) => {
      const protos = path.join(folder, "protos");
      mkdirSync(protos, { recursive: true });
      return [
        ["cp", "-r", `${source}/.`, folder],
        // google/rpc comes with grpc-java.
        ["cp", "-r", "proto/presence", "third_party/buf", protos],
        ["mvn", "--quiet", "--batch-mode", "--file", path.join(folder, "pom.xml"), "package"],
      ];
    };
    return [...made("test/polyglot/java", cache), ...made("examples/java", path.join(cache, "example"))];
  },
  run: (cache) => javaOf(path.join(cache, "target"), "rollcall.Runner"),
  example: (cache) => javaOf(path.join(cache, "example", "target"), "rollcall.WatchRoom"),
};

const rust: Language = {
  folder: "rust",
  needs: [{ command: ["cargo", "--version"], advice: "install a current stable Rust, with cargo" }],
  build: (cache) => {
    const protos = path.join(cache, "protos");
    mkdirSync(protos, { recursive: true });
    return [
      ["cp", "-r", "test/polyglot/rust/.", cache],
      ["cp", "-r", "proto/presence", "third_party/buf", "third_party/google", protos],
      ["cargo", "build", "--quiet", "--manifest-path", path.join(cache, "Cargo.toml")],
      // In place, as its README does it; the packages are those of the runner and compiled once.
      ["cargo", "build", "--quiet", "--manifest-path", "examples/rust/Cargo.toml", "--target-dir", `${cache}/target`],
    ];
  },
  run: (cache) => [path.join(cache, "target", "debug", "runner")],
  example: (cache) => [path.join(cache, "target", "debug", "watch_room")],
};

/** Every language there is a runner for. */
export const LANGUAGES: Readonly<Record<string, Language>> = {
  "ts-grpc-js": typescript("grpc-js"),
  "ts-nice-grpc": typescript("nice-grpc"),
  "ts-connect": typescript("connect"),
  python: python("sync"),
  "python-aio": python("aio"),
  go,
  java,
  rust,
};
