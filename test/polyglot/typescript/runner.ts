import { createInterface } from "node:readline";
import { createRegistry, fromBinary, fromJson, type JsonValue, type Message, toJson } from "@bufbuild/protobuf";
import { BadRequestSchema, ErrorInfoSchema } from "../../../gen/google/rpc/error_details_pb.js";
import { type PresenceEvent, PresenceEventSchema } from "../../../gen/presence/v1/presence_pb.js";
import { PresenceService } from "../../../gen/presence/v1/presence_service_pb.js";
import { Failure, TRANSPORTS, type Transport } from "./transports.js";

/* The runner in TypeScript, for the transport that the first argument names. The protocol stands in ../runner.ts. */

interface Command {
  readonly id: number;
  readonly connect?: string;
  readonly call?: string;
  readonly user?: string;
  readonly request?: JsonValue;
  readonly stream?: string;
  readonly cancel?: string;
  readonly close?: boolean;
}

const open = TRANSPORTS[process.argv[2]!]!;
/** What an error holds, in the entries of a batch too. */
const registry = createRegistry(BadRequestSchema, ErrorInfoSchema);
const streams = new Map<string, AbortController>();
let transport: Transport | undefined;

function say(line: object): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

function outcomeOf(error: unknown): object {
  if (!(error instanceof Failure)) throw error;
  const find = (type: string) => error.details.find(({ typeUrl }) => typeUrl.endsWith(type))?.value;
  const { reason } = fromBinary(ErrorInfoSchema, find("google.rpc.ErrorInfo") ?? new Uint8Array());
  const { fieldViolations } = fromBinary(BadRequestSchema, find("google.rpc.BadRequest") ?? new Uint8Array());
  return { code: error.code, reason, field: fieldViolations[0]?.field ?? "" };
}

async function listen(name: string, messages: AsyncIterable<Message>): Promise<void> {
  try {
    for await (const message of messages) {
      for (const event of (message as Message & { events: PresenceEvent[] }).events) {
        say({ stream: name, event: toJson(PresenceEventSchema, event) });
      }
    }
    say({ stream: name, end: { code: "OK" } });
  } catch (error) {
    say({ stream: name, end: outcomeOf(error) });
  }
}

async function carryOut({ connect, call, user, request, stream, cancel, close }: Command): Promise<JsonValue> {
  if (connect) {
    transport?.close();
    transport = open(connect);
  } else if (close) {
    transport!.close();
    // grpc-js lets streams go on after that.
    for (const abort of streams.values()) abort.abort();
  } else if (cancel) {
    streams.get(cancel)?.abort();
  } else {
    const method = PresenceService.methods.find(({ name }) => name === call)!;
    const message = fromJson(method.input, request ?? {});
    if (!stream) return toJson(method.output, await transport!.unary(method, message, user), { registry });
    const abort = new AbortController();
    streams.set(stream, abort);
    void listen(stream, transport!.stream(method, message, user, abort.signal));
  }
  return {};
}

createInterface({ input: process.stdin })
  .on("line", async (line) => {
    const command: Command = JSON.parse(line);
    try {
      say({ id: command.id, answer: await carryOut(command) });
    } catch (error) {
      say({ id: command.id, error: outcomeOf(error) });
    }
  })
  .once("close", () => process.exit());
