import { type ChildProcess, spawn } from "node:child_process";
import { createRequire } from "node:module";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { endChild } from "./child.js";
import { Inbox } from "./inbox.js";

/** buf itself: the script that npm puts into the path would start it as a second process, which a kill does not reach. */
const ARCH = process.platform === "linux" && process.arch === "arm64" ? "aarch64" : process.arch;
const BUF = createRequire(import.meta.url).resolve(`@bufbuild/buf-${process.platform}-${ARCH}/bin/buf`);

const ROOT = fileURLToPath(new URL("../..", import.meta.url));

/** Where buf takes the contract from: the running server, or the files of the repository. */
export type SchemaSource = "reflection" | "schema";

/** A call that `buf curl` makes in a process of its own. */
export class BufCurl {
  /** The JSON messages of the answer, as they come; ended with the process. */
  readonly answers = new Inbox<unknown>();
  /** What was printed as an error; undefined when the call ended with OK. Resolves when the process has ended. */
  readonly error: Promise<unknown>;
  readonly #child: ChildProcess;

  /** Calls a method of PresenceService with a request in protobuf's JSON. */
  constructor(address: string, source: SchemaSource, method: string, request: unknown, userId = "") {
    const schema = source === "schema" ? ["--schema", "."] : [];
    const header = userId === "" ? [] : ["--header", `x-user-id: ${userId}`];
    const url = `http://${address}/presence.v1.PresenceService/${method}`;
    const args = ["curl", "--protocol", "grpc", "--http2-prior-knowledge", ...schema, ...header];
    this.#child = spawn(BUF, [...args, "-d", JSON.stringify(request), url], { cwd: ROOT });
    let text = "";
    let failure = "";
    // One JSON value a line for a unary answer, and for each message of a stream.
    createInterface({ input: this.#child.stdout! }).on("line", (line) => {
      text += line;
      const value = complete(text);
      if (value === undefined) return;
      text = "";
      this.answers.push(value);
    });
    this.#child.stderr!.on("data", (chunk) => {
      failure += chunk;
    });
    this.error = new Promise((resolve) => {
      this.#child.once("close", () => {
        this.answers.end(new Error(`buf curl ${method} ended: ${failure}`));
        resolve(failure === "" ? undefined : (complete(failure) ?? failure));
      });
    });
  }

  /** Ends the process, and with it the call. */
  stop(): Promise<void> {
    return endChild(this.#child);
  }
}

function complete(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
