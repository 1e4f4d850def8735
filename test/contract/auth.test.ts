import assert from "node:assert/strict";
import { create, toBinary } from "@bufbuild/protobuf";
import { JoinChannelRequestSchema } from "../../gen/presence/v1/presence_service_pb.js";
import { createPresenceClient } from "../../src/client/index.js";
import type { ChannelGrant } from "../../src/model/grant.js";
import type { RollcallServer } from "../../src/server/server.js";
import type { ServerSettings } from "../../src/server/settings.js";
import { callHeaders, FLAG, FRAME, frame, headerBlock, RawConnection } from "../hostile/raw_connection.js";
import { connect, message } from "../support/calls.js";
import { framed } from "../support/http2_calls.js";
import { startJwksServer } from "../support/jwks_server.js";
import { Listener } from "../support/listener.js";
import { refusalOf } from "../support/refusal.js";
import { startTestServer } from "../support/server.js";
import { goodClaims, hs256, keyPair, rs256, SECRET, unsecured } from "../support/tokens.js";

const room = message("chat_room");

/** A token of a user, with what it is granted. */
const tokenOf = (sub: string, presence?: object, exp?: number): string =>
  hs256({ claims: goodClaims({ sub, ...(presence && { presence }), ...(exp !== undefined && { exp }) }) });

const allow = (...rights: ChannelGrant["allow"]) => ({ channels: [{ pattern: "chat_*", allow: rights }] });

/** google.rpc.Code, as the entries of a batch have it. */
const PERMISSION_DENIED = 7;

/** Watches the room until the first word from it. */
const watch = async (client: ReturnType<typeof connect>["client"]): Promise<void> => {
  const watching = client.watchChannels({ channels: [room], withSnapshot: true })[Symbol.asyncIterator]();
  await watching.next();
  await watching.return?.();
};

/** Who is let in by a token, and to what, over real connections (S20, S22). */
describe("authentication by tokens", () => {
  let server: RollcallServer;
  const channels: { close(): void }[] = [];

  afterEach(async () => {
    for (const channel of channels.splice(0)) channel.close();
    await server.close();
  });

  async function start(settings: Partial<ServerSettings> = { tokenSecret: SECRET }): Promise<void> {
    server = await startTestServer({ tokenLeeway: 0, ...settings });
  }

  function as(token?: string, userId?: string) {
    const connection = connect(server.address, userId, token === undefined ? {} : { token });
    channels.push(connection.channel);
    return connection.client;
  }

  it("S20 the user is the token's subject, whatever else the call says", async () => {
    await start();
    const { state } = await as(tokenOf("tony"), "anna").setState({ channel: room, states: { Mic: "True" } });
    assert.equal(state?.userId, "tony", "x-user-id is not listened to");
    const refusal = await refusalOf(as(tokenOf("tony")).setState({ channel: room, userId: "anna" }));
    assert.deepEqual([refusal.code, refusal.reason], ["PERMISSION_DENIED", "NOT_ALLOWED"]);
    const bot = await as(tokenOf("tony", { act_as: ["bot-*"] })).setState({ channel: room, userId: "bot-1" });
    assert.equal(bot.state?.userId, "bot-1");
  });

  it("S20 of several authorization entries the first counts, and no other", async () => {
    await start();
    const online = async () => (await as(tokenOf("mia")).listOnlineUsers({ channel: room })).users;
    const request = framed(toBinary(JoinChannelRequestSchema, create(JoinChannelRequestSchema, { channel: room })));
    for (const [first, users] of [
      ["nonsense", []],
      [tokenOf("tony"), ["tony"]],
    ] as const) {
      const entries = [first, tokenOf("anna")].map((token) => headerBlock({ authorization: `Bearer ${token}` }));
      const raw = (await RawConnection.open(server.address)).greet();
      channels.push({ close: () => raw.destroy() });
      const headers = Buffer.concat([callHeaders("JoinChannel"), ...entries]);
      raw.send(frame(FRAME.HEADERS, FLAG.END_HEADERS, 1, headers), frame(FRAME.DATA, FLAG.END_STREAM, 1, request));
      await raw.ended(1);
      assert.deepEqual(
        (await online()).map(({ userId }) => userId),
        users,
      );
    }
  });

  it("S22 calls and streams without a good token are refused, all in the same words", async () => {
    await start({ tokenSecret: SECRET, tokenAudience: "rollcall", tokenIssuer: "issuer" });
    const claims = goodClaims({ aud: "rollcall", iss: "issuer" });
    const good = hs256({ claims });
    await as(good).setState({ channel: room });
    const bad: Readonly<Record<string, string | undefined>> = {
      missing: undefined,
      forged: hs256({ claims }, "a secret of somebody else, of that length"),
      truncated: good.slice(0, -4),
      "without a signature": good.slice(0, good.lastIndexOf(".") + 1),
      none: unsecured({ claims }),
      "not yet valid": hs256({ claims: { ...claims, nbf: Date.now() / 1000 + 600 } }),
      "wrong audience": hs256({ claims: { ...claims, aud: "other" } }),
      "wrong issuer": hs256({ claims: { ...claims, iss: "other" } }),
    };
    const seen = new Set<string>();
    for (const [name, token] of Object.entries(bad)) {
      const client = as(token);
      const calls = {
        setState: client.setState({ channel: room }),
        listOnlineUsers: client.listOnlineUsers({ channel: room }),
        subscribePresence: new Listener(client, { channel: room }).next(),
        "a bad request": client.getState({ channel: message("\u0000") }),
      };
      for (const [call, answer] of Object.entries(calls)) {
        const { code, reason, message: text, info, violations } = await refusalOf(answer);
        assert.deepEqual([code, reason], ["UNAUTHENTICATED", "NOT_AUTHENTICATED"], `${name}, ${call}`);
        assert.deepEqual([{ ...info?.metadata }, violations], [{}, []]);
        seen.add(text);
      }
    }
    assert.equal(seen.size, 1);
    const expired = await refusalOf(as(hs256({ claims: { ...claims, exp: 1000 } })).setState({ channel: room }));
    assert.deepEqual([expired.code, expired.reason], ["UNAUTHENTICATED", "TOKEN_EXPIRED"]);
  });

  it("S20 a public key is no secret, and another algorithm no good", async () => {
    const own = keyPair("rsa");
    await start({ tokenJwks: undefined, ...(await published(own.publicJwk)) });
    await as(rs256({ header: { kid: "1" } }, own.privateKey)).setState({ channel: room });
    for (const secret of [own.publicPem, own.publicPem.trim(), JSON.stringify(own.publicJwk)]) {
      const swapped = hs256({ header: { kid: "1" } }, secret);
      assert.equal((await refusalOf(as(swapped).setState({ channel: room }))).reason, "NOT_AUTHENTICATED");
    }
  });

  it("S20 keys that are published anew are taken up, and those that are gone are not believed", async () => {
    const [first, second] = [keyPair("rsa"), keyPair("rsa")];
    const settings = await published(first.publicJwk);
    await start(settings);
    const signed = (kid: string, { privateKey }: typeof first, sub: string) =>
      rs256({ header: { kid }, claims: goodClaims({ sub }) }, privateKey);
    await as(signed("1", first, "tony")).setState({ channel: room });
    issuer.keys = [{ ...second.publicJwk, kid: "2", alg: "RS256" }];
    await as(signed("2", second, "anna")).setState({ channel: room });
    assert.equal((await refusalOf(as(signed("1", first, "mia")).setState({ channel: room }))).code, "UNAUTHENTICATED");
  });

  it("S20 a key that is withdrawn takes the tokens that were seen before, and their streams, with it", async () => {
    const [first, second] = [keyPair("rsa"), keyPair("rsa")];
    const settings = await published(first.publicJwk);
    const both = [...issuer.keys, { ...second.publicJwk, kid: "2", alg: "RS256" }];
    issuer.keys = both;
    await start({ ...settings, jwksMaxAge: 1000 });
    const signed = (kid: string, { privateKey }: typeof first, sub: string) =>
      as(rs256({ header: { kid }, claims: goodClaims({ sub }) }, privateKey));
    const [tony, anna] = [signed("1", first, "tony"), signed("2", second, "anna")];
    const [tonys, annas] = [new Listener(tony, { channel: room }), new Listener(anna, { channel: room, quiet: true })];
    await tonys.opened();
    await annas.opened();
    issuer.keys = both.slice(1);
    assert.equal((await refusalOf(tonys.next())).reason, "TOKEN_EXPIRED");
    assert.equal((await refusalOf(tony.setState({ channel: room }))).reason, "NOT_AUTHENTICATED");
    await anna.joinChannel({ channel: room, userId: "anna" });
    await new Listener(signed("2", second, "mia"), { channel: room }).opened();
    await annas.expect("remoteJoin");
  });

  let issuer: Awaited<ReturnType<typeof startJwksServer>>;
  async function published(jwk: object): Promise<Partial<ServerSettings>> {
    issuer = await startJwksServer();
    issuer.keys = [{ ...jwk, kid: "1", alg: "RS256" }];
    channels.push({ close: () => void issuer.close() });
    return { tokenJwks: issuer.url, jwksCooldown: 0 };
  }

  it("S20 each right opens its calls, and no others", async () => {
    await start();
    const tony = as(tokenOf("tony", allow("write", "subscribe")));
    const { sessionId } = await tony.joinChannel({ channel: room, initialStates: { Mic: "True" } });
    const listens = new Listener(as(tokenOf("anna", allow("subscribe"))), { channel: room });
    assert.deepEqual([...(await listens.opened()).keys()], ["tony", "anna"]);
    const needed: readonly [string, string, (client: ReturnType<typeof as>) => Promise<unknown>][] = [
      ["write", "write", (client) => client.setState({ channel: room })],
      ["write", "write", (client) => client.removeState({ channel: room })],
      ["write", "write", (client) => client.joinChannel({ channel: room })],
      ["read", "read", (client) => client.getState({ channel: room, userId: "tony" })],
      ["read", "read", (client) => client.listOnlineUsers({ channel: room })],
      ["query", "query", (client) => client.listUserChannels({ userId: "tony" })],
      ["subscribe", "subscribe", (client) => new Listener(client, { channel: room }).next()],
      ["feed", "feed", watch],
      ["subscribe", "subscribe or write", (client) => client.leaveChannel({ channel: room })],
    ];
    for (const [right, named, call] of needed) {
      const others = (["subscribe", "write", "read", "query", "feed"] as const).filter((one) => !named.includes(one));
      const refusal = await refusalOf(call(as(tokenOf("mia", allow(...others)))));
      assert.deepEqual([refusal.code, refusal.reason], ["PERMISSION_DENIED", "NOT_ALLOWED"], named);
      assert.equal(refusal.info?.metadata.right, named);
      if (right !== "query") assert.equal(refusal.info?.metadata.channel, "chat_room");
      await call(as(tokenOf("mia", allow(right as "read"))));
      await as(tokenOf("mia")).joinChannel({ channel: room });
    }
    for (const call of ["batchSetState", "batchJoinChannel"] as const) {
      for (const [right, outcome] of [
        ["read", "error"],
        ["write", "response"],
      ] as const) {
        const { results } = await as(tokenOf("mia", allow(right)))[call]({ requests: [{ channel: room }] });
        assert.equal(results[0]?.result.case, outcome, `${call} with ${right}`);
      }
    }
    const heartbeat = await refusalOf(
      as(tokenOf("tony", allow("subscribe", "read"))).heartbeat({ sessionIds: [sessionId] }),
    );
    assert.equal(heartbeat.info?.metadata.right, "write");
    assert.deepEqual((await tony.heartbeat({ sessionIds: [sessionId] })).expiredSessionIds, []);
    const elsewhere = await refusalOf(tony.setState({ channel: message("hall") }));
    assert.equal(elsewhere.reason, "NOT_ALLOWED");
    const toldWhere = await as(tokenOf("bob", { channels: [{ pattern: "hall", allow: ["query"] }] })).listUserChannels({
      userId: "tony",
    });
    assert.deepEqual(toldWhere.channels, [], "what may not be asked is not there");
  });

  it("S20 a name in a token is that name, and a pattern is what begins alike", async () => {
    await start();
    await as(tokenOf("evelyn")).setState({ channel: message("evelyn-private"), states: { Mood: "secret" } });
    await as(tokenOf("evelyn")).joinChannel({ channel: message("evelyn-private") });
    await as(tokenOf("eve")).joinChannel({ channel: message("eve*") });
    const rights = { allow: ["read", "write"] };
    const exact = as(tokenOf("bob", { channels: [{ name: "eve*", ...rights }], act_as: [{ name: "bot*" }] }));
    await exact.listOnlineUsers({ channel: message("eve*") });
    await exact.setState({ channel: message("eve*"), userId: "bot*" });
    const pattern = as(tokenOf("bob", { channels: [{ pattern: "eve*", ...rights }], act_as: ["bot*"] }));
    for (const [client, reason] of [
      [exact, "NOT_ALLOWED"],
      [pattern, undefined],
    ] as const) {
      const read = client.getState({ channel: message("evelyn-private"), userId: "evelyn" });
      const acted = client.setState({ channel: message("eve*"), userId: "bot-7" });
      for (const attempt of [read, acted]) {
        if (reason === undefined) await attempt;
        else assert.equal((await refusalOf(attempt)).reason, reason);
      }
    }
  });

  it("S4 S17 S19 another user's id, session and page token are worth nothing", async () => {
    await start();
    const tony = as(tokenOf("tony"));
    const { sessionId } = await tony.joinChannel({ channel: room });
    await as(tokenOf("anna")).joinChannel({ channel: room });
    const { nextPageToken: pageToken } = await tony.listOnlineUsers({ channel: room, pageSize: 1 });
    const mia = as(tokenOf("mia", { channels: [{ pattern: "*", allow: ["subscribe", "write", "read", "query"] }] }));
    const attempts: readonly [string, Promise<unknown>][] = [
      ["NOT_ALLOWED", mia.setState({ channel: room, userId: "tony" })],
      ["NOT_ALLOWED", mia.removeState({ channel: room, userId: "tony" })],
      ["NOT_ALLOWED", mia.joinChannel({ channel: room, userId: "tony" })],
      ["NOT_ALLOWED", mia.leaveChannel({ channel: room, userId: "tony", sessionId })],
      ["SESSION_NOT_FOUND", mia.leaveChannel({ channel: room, sessionId })],
      ["NOT_ALLOWED", mia.heartbeat({ sessionIds: [sessionId] })],
      ["NOT_ALLOWED", watch(mia)],
      ["NOT_ALLOWED", new Listener(mia, { channel: room, userId: "tony" }).next()],
      ["NOT_ALLOWED", new Listener(mia, { channel: room, sessionId }).next()],
      ["INVALID_PAGE_TOKEN", mia.listOnlineUsers({ channel: room, pageToken })],
      ["INVALID_PAGE_TOKEN", mia.listUserChannels({ userId: "tony", pageToken })],
    ];
    for (const [reason, attempt] of attempts) assert.equal((await refusalOf(attempt)).reason, reason);
    assert.deepEqual((await tony.heartbeat({ sessionIds: [sessionId] })).expiredSessionIds, []);
    assert.equal((await tony.listOnlineUsers({ channel: room, pageToken })).users.length, 1);
    const entries = { requests: [{ channel: room, userId: "tony" }, { channel: room }] };
    for (const { results } of [await mia.batchSetState(entries), await mia.batchJoinChannel(entries)]) {
      const [other, own] = results.map(({ result }) => result);
      assert.ok(other?.case === "error" && other.value.code === PERMISSION_DENIED);
      assert.equal(own?.case, "response");
    }
  });

  it("S20 two apps with the same names never meet", async () => {
    await start();
    const every = { channels: [{ pattern: "*", allow: ["subscribe", "write", "read", "query"] }] };
    const [chat, game] = ["chat", "game"].map((app) => as(tokenOf("tony", { app, ...every }))) as [
      ReturnType<typeof as>,
      ReturnType<typeof as>,
    ];
    const hears = new Listener(as(tokenOf("anna", { app: "game" })), { channel: room, quiet: true });
    assert.equal((await hears.opened()).size, 0);
    const begin = hears.messages[0]!.events[0]!.position;
    const { sessionId } = await chat.joinChannel({ channel: room, initialStates: { app: "chat" } });
    assert.equal((await game.listOnlineUsers({ channel: room })).totalSize, 0);
    assert.deepEqual((await game.listUserChannels({ userId: "tony" })).channels, []);
    assert.equal((await refusalOf(game.getState({ channel: room }))).reason, "PRESENCE_USER_NOT_EXIST");
    assert.deepEqual((await game.heartbeat({ sessionIds: [sessionId] })).expiredSessionIds, [sessionId]);
    assert.equal((await refusalOf(game.leaveChannel({ channel: room, sessionId }))).reason, "SESSION_NOT_FOUND");
    await game.joinChannel({ channel: room, initialStates: { app: "game" } });
    const join = (await hears.expect("remoteJoin")).$event.position!;
    assert.equal(join.revision, begin!.revision + 1n, "the first that happened here");
    assert.deepEqual({ ...(await hears.expect("remoteStateChanged")).state?.states }, { app: "game" });
    for (const [client, app] of [
      [chat, "chat"],
      [game, "game"],
    ] as const) {
      const { channels: places } = await client.listUserChannels({});
      assert.deepEqual(
        places.map(({ channel, state }) => [channel?.name, state?.userId, { ...state?.states }]),
        [["chat_room", "tony", { app }]],
        "as if alone, and nothing in it tells of apps",
      );
    }
  });

  it("S3 S4 a stream ends with its token, and goes on with a fresh one, unnoticed by the others", async () => {
    await start();
    const anna = new Listener(as(tokenOf("anna")), { channel: room });
    await anna.opened();
    const soon = Math.floor(Date.now() / 1000) + 1;
    const tony = new Listener(as(tokenOf("tony", undefined, soon)), { channel: room });
    const { sessionId } = await tony.expect("subscribed");
    await tony.snapshot();
    await anna.expect("remoteJoin");
    const ended = await refusalOf(tony.next());
    assert.deepEqual([ended.code, ended.reason], ["UNAUTHENTICATED", "TOKEN_EXPIRED"]);
    assert.ok(Date.now() >= soon * 1000, "not before its time");
    const again = new Listener(as(tokenOf("tony")), { channel: room, sessionId });
    assert.equal((await again.expect("subscribed")).resumed, true);
    await as(tokenOf("tony")).setState({ channel: room, states: { still: "here" } });
    await anna.expect("remoteStateChanged");
  });

  it("a stream may outlive its token where the server says so", async () => {
    await start({ tokenSecret: SECRET, streamTokenGrace: 60_000 });
    const soon = Math.floor(Date.now() / 1000) + 1;
    const anna = new Listener(as(tokenOf("anna", undefined, soon)), { channel: room });
    await anna.opened();
    const refused = async (): Promise<boolean> =>
      as(tokenOf("anna", undefined, soon))
        .listOnlineUsers({ channel: room })
        .then(
          () => false,
          () => true,
        );
    while (!(await refused()));
    await as(tokenOf("tony")).joinChannel({ channel: room });
    await anna.expect("remoteJoin");
  });

  it("our client comes back with a fresh token when it can make one", async () => {
    await start();
    const anna = new Listener(as(tokenOf("anna")), { channel: room });
    await anna.opened();
    let made = 0;
    const token = async () => {
      made += 1;
      return tokenOf("tony", undefined, Math.floor(Date.now() / 1000) + (made === 1 ? 1 : 600));
    };
    const reconnect = { minDelayMs: 10 };
    const presence = createPresenceClient({ address: server.address, userId: "tony", token, reconnect });
    const seen: string[] = [];
    const subscription = presence.channel("chat_room").subscribe({
      initialStates: { Mic: "True" },
      onStatus: ({ state, ...status }) => seen.push("reason" in status ? `${state} ${reasonOf(status.reason)}` : state),
    });
    await subscription.ready;
    await anna.expect("remoteJoin");
    await anna.expect("remoteStateChanged");
    while (!seen.includes("live", seen.indexOf("live") + 1)) await new Promise((resolve) => setImmediate(resolve));
    assert.deepEqual(seen, ["live", "reconnecting TOKEN_EXPIRED", "live"]);
    await presence.channel("chat_room").setState({ Mic: "False" });
    assert.equal((await anna.expect("remoteStateChanged")).$event.userId, "tony", "nobody noticed");
    await presence.close();
  });

  it("our client ends with TOKEN_EXPIRED where it was given one token alone", async () => {
    await start();
    const token = tokenOf("tony", undefined, Math.floor(Date.now() / 1000) + 1);
    const presence = createPresenceClient({ address: server.address, userId: "tony", token });
    const { closed } = presence.channel("chat_room").subscribe();
    await assert.rejects(closed, { code: "UNAUTHENTICATED", reason: "TOKEN_EXPIRED" });
    await presence.close();
  });
});

function reasonOf(error: unknown): string | undefined {
  return (error as { reason?: string } | undefined)?.reason;
}
