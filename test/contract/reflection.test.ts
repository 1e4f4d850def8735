import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { create, fromBinary, type MessageInitShape, toBinary } from "@bufbuild/protobuf";
import { BinaryReader } from "@bufbuild/protobuf/wire";
import { type FileDescriptorProto, FileDescriptorProtoSchema } from "@bufbuild/protobuf/wkt";
import { status } from "@grpc/grpc-js";
import {
  ServerReflectionRequestSchema,
  type ServerReflectionResponse,
  ServerReflectionResponseSchema,
} from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { buf } from "../../scripts/check_generated.js";
import { PRIVATE_FIELDS } from "../../src/rpc/transport_internals.js";
import type { RollcallServer } from "../../src/server/server.js";
import { nextEvent } from "../support/deferred.js";
import { framed, type Http2Call, Http2Calls } from "../support/http2_calls.js";
import { startTestServer } from "../support/server.js";
import { ServerUnderTest } from "../support/server_under_test.js";
import { SECRET } from "../support/tokens.js";

const V1 = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
const V1ALPHA = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo";
const SERVICES = [
  "presence.v1.PresenceService",
  "grpc.health.v1.Health",
  "grpc.reflection.v1.ServerReflection",
  "grpc.reflection.v1alpha.ServerReflection",
];
const MIB = 1024 * 1024;

type Question = NonNullable<MessageInitShape<typeof ServerReflectionRequestSchema>["messageRequest"]>;

function request(messageRequest: Question, host = ""): Uint8Array {
  return toBinary(ServerReflectionRequestSchema, create(ServerReflectionRequestSchema, { host, messageRequest }));
}

async function nextResponse(call: Http2Call): Promise<ServerReflectionResponse> {
  return fromBinary(ServerReflectionResponseSchema, await call.messages.next());
}

/** What `buf build` makes of the contract now: the bytes of each file, by its name. */
async function built(): Promise<Map<string, Uint8Array>> {
  const folder = mkdtempSync(path.join(tmpdir(), "rollcall-test-"));
  try {
    const image = path.join(folder, "image.binpb");
    await buf(["build", "--as-file-descriptor-set", "--exclude-source-info", "-o", image], { BUF_CACHE_DIR: folder });
    const files = new Map<string, Uint8Array>();
    const reader = new BinaryReader(readFileSync(image));
    while (reader.pos < reader.len) {
      reader.tag();
      const bytes = reader.bytes();
      files.set(fromBinary(FileDescriptorProtoSchema, bytes).name, bytes);
    }
    return files;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

describe("gRPC reflection, without a token", () => {
  let server: RollcallServer;
  let client: Http2Calls;
  let call: Http2Call;

  beforeEach(async () => {
    // Longer than the test may take: what the graceful shutdown waits for must end by itself.
    server = await startTestServer({ tokenSecret: SECRET, drainTime: 60_000 });
    client = new Http2Calls(server.address);
    call = client.begin(V1);
  });

  afterEach(async () => {
    client.close();
    await server.close();
  });

  function ask(question: Question): Promise<ServerReflectionResponse> {
    call.stream.write(framed(request(question)));
    return nextResponse(call);
  }

  /** The files of an answer, the one that was asked for first. */
  async function files(question: Question): Promise<{ readonly proto: FileDescriptorProto; readonly bytes: Buffer }[]> {
    const { messageResponse } = await ask(question);
    assert.ok(messageResponse.case === "fileDescriptorResponse", JSON.stringify(messageResponse));
    return messageResponse.value.fileDescriptorProto.map((bytes) => ({
      proto: fromBinary(FileDescriptorProtoSchema, bytes),
      bytes: Buffer.from(bytes),
    }));
  }

  async function fileNameOf(symbol: string): Promise<string> {
    const [first] = await files({ case: "fileContainingSymbol", value: symbol });
    return first!.proto.name;
  }

  async function refusal(question: Question): Promise<number | undefined> {
    const { messageResponse } = await ask(question);
    return messageResponse.case === "errorResponse" ? messageResponse.value.errorCode : undefined;
  }

  it("lists all services of the port, in both versions, and repeats the request", async () => {
    for (const version of [V1, V1ALPHA]) {
      const one = client.begin(version);
      const asked = request({ case: "listServices", value: "*" }, "example.com");
      one.stream.end(framed(asked));
      const { messageResponse, originalRequest, validHost } = await nextResponse(one);
      assert.ok(messageResponse.case === "listServicesResponse");
      assert.deepEqual(
        messageResponse.value.service.map(({ name }) => name),
        SERVICES,
      );
      assert.equal(validHost, "example.com");
      assert.deepEqual(originalRequest, fromBinary(ServerReflectionRequestSchema, asked));
      assert.equal((await one.status).code, status.OK);
    }
  });

  it("gives each file with its imports, byte for byte as buf builds it", async () => {
    const due = await built();
    for (const name of SERVICES) assert.ok(due.has(await fileNameOf(name)), name);
    assert.ok(due.has("buf/validate/validate.proto") && due.has("google/protobuf/descriptor.proto"));
    for (const [name, bytes] of due) {
      const given = await files({ case: "fileByFilename", value: name });
      assert.equal(given[0]!.proto.name, name);
      assert.ok(given[0]!.bytes.equals(bytes), name);
      const names = new Set(given.map(({ proto }) => proto.name));
      assert.equal(names.size, given.length, `${name}: no file twice`);
      for (const { proto } of given) for (const one of proto.dependency) assert.ok(names.has(one), `${name}: ${one}`);
    }
  });

  it("finds symbols of every kind", async () => {
    const service = "presence/v1/presence_service.proto";
    const due: Readonly<Record<string, string>> = {
      "presence.v1.PresenceService": service,
      "presence.v1.PresenceService.SetState": service,
      "presence.v1.SetStateRequest": service,
      "presence.v1.SetStateRequest.expected_revision": service,
      "presence.v1.SetStateRequest.StatesEntry": service,
      "presence.v1.PresenceEvent.event": "presence/v1/presence.proto",
      "presence.v1.ChannelType": "presence/v1/presence.proto",
      "presence.v1.CHANNEL_TYPE_MESSAGE": "presence/v1/presence.proto",
      "buf.validate.field": "buf/validate/validate.proto",
      "grpc.health.v1.HealthCheckResponse.ServingStatus": "grpc/health/v1/health.proto",
      "grpc.health.v1.HealthCheckResponse.SERVING": "grpc/health/v1/health.proto",
      "google.rpc.ErrorInfo": "google/rpc/error_details.proto",
      "google.protobuf.FieldOptions": "google/protobuf/descriptor.proto",
    };
    for (const [symbol, file] of Object.entries(due)) assert.equal(await fileNameOf(symbol), file, symbol);
  });

  it("finds extensions, and their numbers", async () => {
    const extension = { containingType: "google.protobuf.FieldOptions", extensionNumber: 1159 };
    const [first] = await files({ case: "fileContainingExtension", value: extension } as Question);
    assert.equal(first!.proto.name, "buf/validate/validate.proto");
    const numbers = async (type: string) => {
      const { messageResponse } = await ask({ case: "allExtensionNumbersOfType", value: type });
      assert.ok(messageResponse.case === "allExtensionNumbersResponse");
      assert.equal(messageResponse.value.baseTypeName, type);
      return messageResponse.value.extensionNumber;
    };
    assert.deepEqual(await numbers("google.protobuf.FieldOptions"), [1159, 1160]);
    assert.deepEqual(await numbers("presence.v1.SetStateRequest"), []);
  });

  it("answers NOT_FOUND to what it does not know, and goes on", async () => {
    const unknown = { containingType: "google.protobuf.FieldOptions", extensionNumber: 7 };
    assert.equal(await refusal({ case: "fileByFilename", value: "no.proto" }), status.NOT_FOUND);
    assert.equal(await refusal({ case: "fileContainingSymbol", value: "presence.v1.No" }), status.NOT_FOUND);
    assert.equal(await refusal({ case: "fileContainingExtension", value: unknown } as Question), status.NOT_FOUND);
    assert.equal(await refusal({ case: "allExtensionNumbersOfType", value: "presence.v1.No" }), status.NOT_FOUND);
    assert.equal(await refusal({ case: undefined }), status.INVALID_ARGUMENT);
    assert.equal(await fileNameOf("presence.v1.PresenceService"), "presence/v1/presence_service.proto");
    call.stream.end();
    assert.equal((await call.status).code, status.OK);
  });

  it("takes compressed requests", async () => {
    const one = client.begin(V1, { "grpc-encoding": "gzip" });
    one.stream.write(framed(request({ case: "listServices", value: "" }), { gzip: true }));
    one.stream.end(framed(request({ case: "fileByFilename", value: "x".repeat(900) }), { gzip: true }));
    assert.equal((await nextResponse(one)).messageResponse.case, "listServicesResponse");
    assert.equal((await nextResponse(one)).messageResponse.case, "errorResponse");
  });

  it("ends a stream whose request has more than 1 KiB, compressed or not, or is none", async () => {
    const large = request({ case: "fileByFilename", value: "x".repeat(2000) });
    for (const gzip of [false, true]) {
      const one = client.begin(V1, gzip ? { "grpc-encoding": "gzip" } : {});
      one.stream.write(framed(large, { gzip }));
      assert.equal((await one.status).code, status.RESOURCE_EXHAUSTED);
    }
    const broken = client.begin(V1);
    broken.stream.write(framed(Buffer.from([0xff])));
    assert.equal((await broken.status).code, status.INVALID_ARGUMENT);
  });

  it("ends a stream whose request is too large while it answers those before it", async () => {
    const requests = [0, 10, 1000, 10, 10, 1025].map((length) =>
      framed(request({ case: "listServices", value: "" }, "x".repeat(length))),
    );
    const bytes = Buffer.concat(requests);
    // The bytes arrive in parts of every size.
    for (let size = 20; size < 1100; size += 9) {
      const call = client.begin(V1);
      for (let at = 0; at < bytes.length; at += size) call.stream.write(bytes.subarray(at, at + size));
      call.stream.end();
      assert.equal((await call.status).code, status.RESOURCE_EXHAUSTED);
    }
  });

  it("refuses a connection's 11th stream, and no other connection's", async () => {
    const calls = [call, ...Array.from({ length: 9 }, () => client.begin(V1))];
    const list = framed(request({ case: "listServices", value: "" }));
    for (const one of calls) {
      one.stream.write(list);
      await nextResponse(one);
    }
    const { code, message } = await client.begin(V1ALPHA).status;
    assert.equal(code, status.RESOURCE_EXHAUSTED);
    assert.equal(message, "at most 10 ServerReflectionInfo streams per connection");
    const other = new Http2Calls(server.address);
    const theirs = other.begin(V1);
    theirs.stream.write(list);
    await nextResponse(theirs);
    other.close();
    calls[1]!.stream.end();
    await calls[1]!.status;
    const next = client.begin(V1);
    next.stream.write(list);
    await nextResponse(next);
  });

  it("is ended at graceful shutdown, which does not wait for the client", async () => {
    await ask({ case: "listServices", value: "" });
    const closed = server.close();
    assert.deepEqual(await call.status, { code: status.UNAVAILABLE, message: "the server is shutting down" });
    await closed;
  });
});

describe("gRPC reflection, in a release of grpc-js whose private fields have other names", () => {
  it("answers all the same", async () => {
    const { call: name } = PRIVATE_FIELDS;
    PRIVATE_FIELDS.call = "renamed";
    const server = await startTestServer();
    const client = new Http2Calls(server.address);
    const call = client.begin(V1);
    for (const value of ["presence/v1/presence_service.proto", "no.proto"]) {
      call.stream.write(framed(request({ case: "fileByFilename", value })));
    }
    call.stream.end();
    assert.equal((await nextResponse(call)).messageResponse.case, "fileDescriptorResponse");
    assert.equal((await nextResponse(call)).messageResponse.case, "errorResponse");
    assert.equal((await call.status).code, status.OK);
    PRIVATE_FIELDS.call = name;
    client.close();
    await server.close();
  });
});

describe("gRPC reflection, switched off", () => {
  it("is not there, and health is", async () => {
    const server = await startTestServer({ reflection: "off" });
    const client = new Http2Calls(server.address);
    for (const version of [V1, V1ALPHA]) {
      assert.equal((await client.begin(version).status).code, status.UNIMPLEMENTED);
    }
    assert.equal((await client.call("/grpc.health.v1.Health/Check", Buffer.alloc(0)).status).code, status.OK);
    client.close();
    await server.close();
  });
});

describe("gRPC reflection, with a client that reads nothing", () => {
  let server: ServerUnderTest;
  const clients: Http2Calls[] = [];
  const presence = framed(request({ case: "fileByFilename", value: "presence/v1/presence_service.proto" }));

  beforeEach(async () => {
    server = await ServerUnderTest.start({ tokenSecret: SECRET });
  });

  afterEach(async () => {
    for (const one of clients.splice(0)) one.close();
    await server.stop();
  });

  /** A call whose response has no room: its stream's window is 0. */
  function unread(): Http2Call {
    const one = new Http2Calls(server.address, { initialWindowSize: 0 });
    clients.push(one);
    return one.begin(V1);
  }

  it("answers one request at a time, and keeps at most 64 more", async () => {
    const call = unread();
    for (let i = 0; i < 65; i++) call.stream.write(presence);
    const before = await server.memory();
    // The 66th has no place: the stream ends, after the one response that is under way.
    call.stream.write(presence);
    call.stream.session!.settings({ initialWindowSize: 1 << 20 });
    await call.messages.next();
    assert.deepEqual(await call.status, {
      code: status.RESOURCE_EXHAUSTED,
      message: "at most 64 requests of a stream may wait for their responses",
    });
    assert.equal(call.messages.size, 0);
    assert.ok((await server.memoryBeyond(before, MIB)) < MIB);
  });

  it("answers what waited when the client reads again", async () => {
    const call = unread();
    for (let i = 0; i < 65; i++) call.stream.write(presence);
    call.stream.end();
    await server.memory();
    call.stream.session!.settings({ initialWindowSize: 1 << 24 });
    call.stream.session!.setLocalWindowSize(1 << 24);
    await call.messages.take(65);
    assert.equal((await call.status).code, status.OK);
  });

  it("holds little for 100 streams with 500 requests each", async () => {
    unread().stream.write(presence);
    const before = await server.memory();
    const large = framed(request({ case: "fileByFilename", value: "x".repeat(900) }));
    const bodies = Buffer.concat([...Array(30).fill(presence), ...Array(470).fill(large)]);
    for (let i = 0; i < 10; i++) {
      const client = new Http2Calls(server.address, { initialWindowSize: 0 });
      clients.push(client);
      const calls = Array.from({ length: 10 }, () => client.begin(V1));
      await Promise.all(calls.map(({ stream }) => new Promise((sent) => stream.write(bodies, sent))));
      // What was sent before on the connection has been read when the headers of this answer come.
      await nextEvent(client.call("/grpc.health.v1.Health/Check", Buffer.alloc(0)).stream, "response");
    }
    const held = await server.memoryBeyond(before, 8 * MIB);
    assert.ok(held < 8 * MIB, `${(held / MIB).toFixed(1)} MiB`);
  });
});
