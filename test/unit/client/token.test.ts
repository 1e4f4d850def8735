import assert from "node:assert/strict";
import { status } from "@grpc/grpc-js";
import {
  createPresenceClient,
  type PresenceClient,
  type PresenceError,
  type TokenSource,
} from "../../../src/client/index.js";
import { isPassing } from "../../../src/client/reconnect.js";
import { FakeService, reasonDetail, refusal } from "./fake_service.js";

describe("client: tokens", () => {
  let service: FakeService;
  let presence: PresenceClient | undefined;
  let sent: unknown[];

  beforeEach(async () => {
    service = await FakeService.start();
    [sent, presence] = [[], undefined];
    service.handlers.leaveChannel = (_request, call) => {
      sent.push(...call.metadata.get("authorization"));
      return {};
    };
  });
  afterEach(async () => {
    await presence?.close();
    await service.stop();
  });

  const leave = (token: TokenSource, signal?: AbortSignal): Promise<void> => {
    presence ??= createPresenceClient({ address: service.address, userId: "tony", token });
    return presence.channel("room").leave({ all: true, ...(signal && { signal }) });
  };
  const failure = (call: Promise<unknown>): Promise<PresenceError> =>
    call.then(
      () => assert.fail("it did not fail"),
      (error) => error,
    );

  it("sends one token with every call", async () => {
    await leave("abc");
    await leave("abc");
    assert.deepEqual(sent, ["Bearer abc", "Bearer abc"]);
  });

  it("asks for a token anew for each call", async () => {
    let made = 0;
    const token = async () => `token-${++made}`;
    await leave(token);
    await leave(token);
    assert.deepEqual(sent, ["Bearer token-1", "Bearer token-2"]);
  });

  it("waits out a function that fails, and tells its cause", async () => {
    const cause = new Error("the issuer is away");
    const error = await failure(leave(() => Promise.reject(cause)));
    assert.deepEqual([error.code, error.cause, isPassing(error)], ["UNAVAILABLE", cause, true]);
    assert.deepEqual(sent, []);
  });

  it("a function that returns no string makes the call fail with a TypeError, and nothing is sent", async () => {
    let token: unknown;
    const message = /^createPresenceClient: what options.token returns must /;
    for (token of [undefined, 7, {}, "a\r\nb"]) {
      await assert.rejects(
        leave(() => token as string),
        { name: "TypeError", message },
      );
    }
    assert.deepEqual(sent, []);
  });

  it("does not call when the caller lost patience while the token was made", async () => {
    const abort = new AbortController();
    const call = leave(async () => {
      abort.abort(new Error("enough"));
      return "late";
    }, abort.signal);
    await assert.rejects(call, /enough/);
    assert.deepEqual(sent, []);
  });

  for (const [how, token, passing] of [
    ["one token", "abc", false],
    ["a function", () => "abc", true],
  ] as const) {
    it(`takes TOKEN_EXPIRED for ${passing ? "passing" : "the end"} with ${how}`, async () => {
      service.handlers.leaveChannel = () => {
        throw refusal(status.UNAUTHENTICATED, "expired", [reasonDetail("TOKEN_EXPIRED")]);
      };
      const error = await failure(leave(token));
      assert.deepEqual([error.code, error.reason, isPassing(error)], ["UNAUTHENTICATED", "TOKEN_EXPIRED", passing]);
    });
  }

  it("takes NOT_AUTHENTICATED for the end, wherever the token is from", async () => {
    service.handlers.leaveChannel = () => {
      throw refusal(status.UNAUTHENTICATED, "no", [reasonDetail("NOT_AUTHENTICATED")]);
    };
    assert.equal(isPassing(await failure(leave(() => "abc"))), false);
  });
});
