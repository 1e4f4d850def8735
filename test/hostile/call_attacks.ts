import { once } from "node:events";
import { type ClientHttp2Stream, connect, constants } from "node:http2";
import { Health } from "../../gen/grpc/health/v1/health_pb.js";
import { PresenceService } from "../../gen/presence/v1/presence_service_pb.js";
import { message } from "../support/calls.js";
import { framed } from "../support/http2_calls.js";
import { goodClaims, hs256 } from "../support/tokens.js";
import { OPEN_WINDOW, WindowClient } from "../support/window_client.js";
import { type Attack, type HostileAttack, within } from "./attack.js";
import { indexedCalls, RawConnection } from "./raw_connection.js";

/** How long floods of calls last, in ms. */
const FLOOD_MS = 3000;
/** Calls that a flood has in flight on one connection, if the server allows as many streams. */
const IN_FLIGHT = 1900;

const { method } = PresenceService;
const pathOf = ({ parent, name }: { parent: { typeName: string }; name: string }): string =>
  `/${parent.typeName}/${name}`;
const HEALTH_WATCH = pathOf(Health.method.watch);

type Credentials = "no token" | "a forged token" | "a token beyond its rate limit";

const authorization = (credentials: Credentials): Readonly<Record<string, string>> => {
  if (credentials === "no token") return {};
  const claims = goodClaims({ sub: "mallory" });
  const forged = credentials === "a forged token" ? "another secret that is long enough to be one" : undefined;
  return { authorization: `Bearer ${hs256({ claims }, forged)}` };
};

/** Calls of 29 bytes, with as many in flight as the server allows. A connection that the server ends is opened again. */
const callFlood =
  (credentials: Credentials, connections: number): Attack =>
  async (address) => {
    const until = performance.now() + FLOOD_MS;
    const open: RawConnection[] = [];
    let begun = 0;
    let closed = 0;
    const flood = async (): Promise<void> => {
      while (performance.now() < until) {
        const connection = await RawConnection.open(address);
        open.push(connection);
        const call = indexedCalls(pathOf(method.getState), undefined, authorization(credentials));
        let calls = 0;
        connection.onRead = () => {
          const inFlight = Math.min(IN_FLIGHT, connection.maxStreams);
          const more: Buffer[] = [];
          for (; calls - connection.endedStreams < inFlight; calls++) more.push(call(calls * 2 + 1));
          connection.send(...more);
        };
        connection.greet();
        await within(until - performance.now(), connection.closed());
        if (connection.isClosed) closed++;
        else connection.onRead = () => {};
        begun += calls;
      }
    };
    await Promise.all(Array.from({ length: connections }, flood));
    return {
      connections: open.length,
      closed,
      sent: `${begun} calls with ${credentials} in ${FLOOD_MS} ms on ${connections} connections at a time`,
      end: () => {
        for (const connection of open) connection.destroy();
      },
    };
  };

/** Makes calls over one connection, with a fixed number in flight; each is cancelled once the first of its answer has come. */
async function overStreams(
  address: string,
  { count, atOnce, begin }: { count: number; atOnce: number; begin: (index: number) => [object, Buffer] },
): Promise<{ closed: number; end(): void }> {
  const session = connect(`http://${address}`);
  session.on("error", () => {});
  let next = 0;
  const one = async (): Promise<void> => {
    while (next < count && !session.destroyed) {
      const [headers, body] = begin(next++);
      const stream: ClientHttp2Stream = session.request({
        [constants.HTTP2_HEADER_METHOD]: "POST",
        [constants.HTTP2_HEADER_CONTENT_TYPE]: "application/grpc",
        te: "trailers",
        ...headers,
      });
      stream.on("error", () => {});
      stream.resume().end(body);
      const closed = once(stream, "close").catch(() => {});
      await Promise.race([once(stream, "data").catch(() => {}), closed]);
      stream.close(constants.NGHTTP2_CANCEL);
      await closed;
    }
  };
  await within(
    20_000,
    Promise.all(Array.from({ length: atOnce }, one)).then(() => {}),
  );
  return { closed: session.destroyed ? 1 : 0, end: () => session.destroy() };
}

const healthNames: Attack = async (address) => {
  const count = 520;
  const begin = (index: number): [object, Buffer] => {
    const name = Buffer.from(String(index).padEnd(1_000_000, "x"));
    // Field 1, with a length of 1,000,000.
    const request = Buffer.concat([Buffer.from([0x0a, 0xc0, 0x84, 0x3d]), name]);
    return [{ ":path": HEALTH_WATCH, "grpc-encoding": "gzip" }, framed(request, { gzip: true })];
  };
  const { closed, end } = await overStreams(address, { count, atOnce: 20, begin });
  return { connections: 1, closed, sent: `${count} Health/Watch with a compressed name of 1 MB each`, end };
};

/** Opens as many streams as the server allows on each connection, and keeps them. */
const manyStreams =
  (sent: string, settings: Buffer, calls: () => (id: number) => Buffer, connections: number, streams: number): Attack =>
  async (address) => {
    const open = await Promise.all(Array.from({ length: connections }, () => RawConnection.open(address)));
    let begun = 0;
    for (const connection of open) {
      const call = calls();
      let own = 0;
      connection.onRead = () => {
        const more: Buffer[] = [];
        for (; own < Math.min(streams, connection.maxStreams); own++, begun++) more.push(call(own * 2 + 1));
        connection.send(...more);
      };
      connection.greet(settings);
    }
    await within(FLOOD_MS, new Promise(() => {}));
    return {
      connections,
      closed: open.filter(({ isClosed }) => isClosed).length,
      sent: `${begun} ${sent}`,
      end: () => {
        for (const connection of open) connection.destroy();
      },
    };
  };

const repeated = (bytes: Buffer, count: number): Buffer => Buffer.concat(Array.from({ length: count }, () => bytes));

const WINDOW_0 = Buffer.from([0, 4, 0, 0, 0, 0]);

const healthStreams = manyStreams("Health/Watch streams", Buffer.alloc(0), () => indexedCalls(HEALTH_WATCH), 5, 1990);

const unreadReflection = manyStreams(
  "reflection calls with 200 requests each whose answers are not read",
  WINDOW_0,
  // list_services: "".
  () =>
    indexedCalls(
      "/grpc.reflection.v1.ServerReflection/ServerReflectionInfo",
      repeated(framed(Buffer.from([0x3a, 0])), 200),
    ),
  4,
  500,
);

/** A state of 16 KiB, of which each batch changes one byte a thousand times. */
const LARGE = { a: "a".repeat(4000), b: "b".repeat(4000), c: "c".repeat(4000), d: "d".repeat(3500) };
const changes = (channel: ReturnType<typeof message>, userId: string) =>
  Array.from({ length: 1000 }, (_, i) => ({ channel, userId, states: { e: String(i % 10) } }));

async function withLargeState(address: string, channels: readonly ReturnType<typeof message>[]): Promise<WindowClient> {
  const writer = await WindowClient.connect(address, OPEN_WINDOW);
  for (const channel of channels) {
    await writer.call(method.joinChannel, "mallory", { channel, initialStates: LARGE }).ended();
  }
  return writer;
}

const unreadEvents: Attack = async (address) => {
  const channels = Array.from({ length: 12 }, (_, i) => message(`hostile ${i}`));
  const writer = await withLargeState(address, channels);
  const reader = await WindowClient.connect(address, 0);
  for (const channel of channels)
    await within(1000, reader.call(method.subscribePresence, "reader", { channel }).answered());
  await within(
    10_000,
    Promise.all(
      channels.map((channel) =>
        writer.call(method.batchSetState, "mallory", { requests: changes(channel, "mallory") }).ended(),
      ),
    ).then(() => {}),
  );
  const end = (): void => {
    writer.close();
    reader.close();
  };
  return { connections: 2, closed: 0, sent: "12 batches of 1,000 changes to a subscriber that reads nothing", end };
};

const unreadAnswers: Attack = async (address) => {
  const channel = message("hostile");
  const writer = await withLargeState(address, [channel]);
  const reader = await WindowClient.connect(address, 0);
  for (let i = 0; i < 15; i++)
    await within(
      1000,
      reader.call(method.batchSetState, "mallory", { requests: changes(channel, "mallory") }).answered(),
    );
  const end = (): void => {
    writer.close();
    reader.close();
  };
  return { connections: 2, closed: 0, sent: "15 batches of 1,000 changes whose answers are not read", end };
};

const paddedTokens: Attack = async (address) => {
  const count = 4000;
  const token = hs256({ claims: goodClaims({ sub: "mallory" }) });
  const begin = (index: number): [object, Buffer] => [
    { ":path": pathOf(method.getState), authorization: `Bearer${" ".repeat(50_000 + index)}${token}` },
    framed(Buffer.alloc(0)),
  ];
  const { closed, end } = await overStreams(address, { count, atOnce: 20, begin });
  return { connections: 1, closed, sent: `${count} calls with a token behind more than 50,000 spaces`, end };
};

const floods = (["no token", "a forged token", "a token beyond its rate limit"] as const).flatMap((credentials) =>
  [1, 4].map((connections): [string, HostileAttack] => [
    `calls with ${credentials}, ${connections === 1 ? "1 connection" : `${connections} connections`}`,
    { attack: callFlood(credentials, connections), needsToken: true },
  ]),
);

/** Attacks that consist of calls. */
export const CALL_ATTACKS: Readonly<Record<string, HostileAttack>> = {
  ...Object.fromEntries(floods),
  "names of services": { attack: healthNames, maxMib: 32 },
  "health streams": { attack: healthStreams, maxMib: 32 },
  "unread reflection": { attack: unreadReflection, maxMib: 32 },
  "unread events": { attack: unreadEvents, maxMib: 32 },
  "unread answers": { attack: unreadAnswers, maxMib: 32 },
  "padded tokens": { attack: paddedTokens, needsToken: true, maxMib: 32 },
};
