import assert from "node:assert/strict";
import fc from "fast-check";
import { PresenceError, type PresenceErrorDetails } from "../../../src/client/index.js";
import { isPassing, reconnectPolicy, retryDelay } from "../../../src/client/reconnect.js";
import { property } from "../../support/property.js";

const fromServer = (details: PresenceErrorDetails) => new PresenceError("no", details, { cause: new Error("status") });

describe("reconnect", () => {
  describe("reconnectPolicy", () => {
    it("has the documented defaults", () => {
      assert.deepEqual(reconnectPolicy(), { minDelayMs: 1000, maxDelayMs: 5000, connectTimeoutMs: 10_000 });
      assert.deepEqual(reconnectPolicy(true), reconnectPolicy({}));
      assert.equal(reconnectPolicy(false), undefined);
    });

    it("lets a longer first delay stretch the longest", () => {
      assert.equal(reconnectPolicy({ minDelayMs: 9000 })?.maxDelayMs, 9000);
    });
  });

  describe("retryDelay", () => {
    const policy = { minDelayMs: 100, maxDelayMs: 1600, connectTimeoutMs: 0 };
    const lost = fromServer({ code: "UNAVAILABLE" });

    it("is spread from zero to a bound that doubles up to the longest", () => {
      const bounds = [1, 2, 3, 4, 5, 6, 60].map((attempt) => retryDelay(policy, attempt, lost, () => 1));
      assert.deepEqual(bounds, [100, 200, 400, 800, 1600, 1600, 1600]);
      assert.equal(
        retryDelay(policy, 3, lost, () => 0),
        0,
      );
    });

    property(
      "is never less than the server asks for, nor more than the longer of that and the bound",
      [fc.integer({ min: 1, max: 2000 }), fc.nat(10_000), fc.double({ min: 0, max: 1, noNaN: true })],
      (attempt, retryAfterMs, random) => {
        const asked = fromServer({ code: "UNAVAILABLE", reason: "SERVER_DRAINING", retryAfterMs });
        const delay = retryDelay(policy, attempt, asked, () => random);
        assert.ok(delay >= retryAfterMs && delay <= Math.max(retryAfterMs, policy.maxDelayMs), `${delay}`);
      },
    );
  });

  describe("isPassing", () => {
    const cases: [string, PresenceErrorDetails, boolean][] = [
      ["a lost connection", { code: "UNAVAILABLE" }, true],
      ["a reset stream", { code: "INTERNAL" }, true],
      ["a server going down", { code: "UNAVAILABLE", reason: "SERVER_DRAINING", retryAfterMs: 5 }, true],
      ["a rate limit", { code: "RESOURCE_EXHAUSTED", reason: "RATE_LIMITED", retryAfterMs: 5 }, true],
      ["a message that is too large", { code: "RESOURCE_EXHAUSTED" }, false],
      ["a newer session in its place", { code: "ABORTED", reason: "SAME_USER_REPLACED" }, false],
      ["a state that somebody else changed", { code: "ABORTED", reason: "STATE_REVISION_MISMATCH" }, false],
      ["a bad request", { code: "INVALID_ARGUMENT", reason: "INVALID_CHANNEL_NAME" }, false],
      ["a foreign session", { code: "PERMISSION_DENIED", reason: "NOT_ALLOWED" }, false],
      ["too many channels", { code: "FAILED_PRECONDITION", reason: "TOO_MANY_CHANNELS" }, false],
      ["no token", { code: "UNAUTHENTICATED", reason: "NOT_AUTHENTICATED" }, false],
    ];
    for (const [what, details, expected] of cases) {
      it(`${expected ? "waits out" : "gives up on"} ${what}`, () => {
        assert.equal(isPassing(fromServer(details)), expected);
      });
    }

    it("gives up on what this client says itself, and on what is no PresenceError", () => {
      assert.equal(isPassing(new PresenceError("this presence client is closed", { code: "CANCELLED" })), false);
      assert.equal(isPassing(new TypeError("a mistake")), false);
    });
  });
});
