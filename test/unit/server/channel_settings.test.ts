import assert from "node:assert/strict";
import { DEFAULT_LIMITS } from "../../../src/model/limits.js";
import {
  addChannelSettings,
  type ChannelSettings,
  checkChannelSettings,
  paceOf,
  parseChannelSettings,
  rulesOf,
} from "../../../src/server/channel_settings.js";

/** A refusal that says this. */
const refused = (message: RegExp) => ({ name: "SettingError", message });
const parse = (text: string) => parseChannelSettings("channel", text);

describe("server: settings by channel (S18)", () => {
  const pace = (channel: Record<string, ChannelSettings> | undefined, name: string) =>
    paceOf({ announceMax: 500, interval: 1000, leaveDebounce: 0, channel })({ type: 1, name });

  it("reads patterns with their settings, one a line", () => {
    assert.deepEqual(parse("lobby:*=announce_max:50,interval:5s"), { "lobby:*": { announceMax: 50, interval: 5000 } });
    assert.deepEqual(parse("a=b=interval:100ms"), { "a=b": { interval: 100 } });
    assert.deepEqual(parse("*=announce_max:0\n\nlobby = announce_max: 7\n"), {
      "*": { announceMax: 0 },
      "lobby ": { announceMax: 7 },
    });
    const own = parse("__proto__=announce_max:1");
    assert.deepEqual(Object.keys(own), ["__proto__"]);
  });

  it("refuses what it cannot read, and says what would be right", () => {
    for (const [text, message] of [
      ["lobby", /^--channel: "lobby" is not PATTERN=SETTINGS, such as "lobby:\*=announce_max:50,interval:5s"$/],
      ["=interval:1s", /the pattern "" is empty; allowed: a channel's name, or PREFIX\*$/],
      ["lo*by=interval:1s", /the pattern "lo\*by" has a star that is not its end; allowed/],
      ["**=interval:1s", /has a star that is not its end/],
      [`${"é".repeat(64)}x=interval:1s`, /longer than any name, 128 bytes/],
      ["lobby\u0007=interval:1s", /control characters/],
      ["lobby\uD800=interval:1s", /half characters/],
      ["lobby=", /"" is not NAME:VALUE, with one of announce_max, interval, leave_debounce as the name$/],
      ["lobby=announceMax:5", /"announceMax:5" is not NAME:VALUE, with one of announce_max, interval, leave_debounce/],
      ["lobby=toString:5", /is not NAME:VALUE/],
      ["lobby=interval:1s,interval:2s", /^--channel: interval is given twice in/],
      ["lobby=interval:5", /^--channel: interval: "5" is not a duration, such as 30s or 500ms$/],
      ["lobby=interval:9ms", /^--channel: interval: 9ms is out of range; allowed: 10ms to 60s$/],
      ["lobby=leave_debounce:31s", /^--channel: leave_debounce: 31s is out of range; allowed: 0s to 30s$/],
      ["lobby=announce_max:-1", /^--channel: announce_max: "-1" is not a count/],
      ["lobby=announce_max:1000001", /allowed: 0 to 1000000$/],
      ["a=interval:1s\na=interval:2s", /^--channel: "a" is given twice$/],
    ] as const) {
      assert.throws(() => parse(text), refused(message), text);
    }
    assert.deepEqual(Object.keys(parse(`${"é".repeat(64)}*=interval:1s`)).length, 1);
  });

  it("gives a channel's rules its own debounce of leaves, in one object for all that have the same", () => {
    const shared = { limits: DEFAULT_LIMITS, sameUser: "multi" as const, pendingTtlMs: 300_000 };
    const channel = parse("game:*=leave_debounce:2s\ngame:final=announce_max:5");
    const rules = rulesOf({ announceMax: 500, interval: 1000, leaveDebounce: 100, channel }, shared);
    const of = (name: string) => rules({ type: 1, name });
    assert.deepEqual(of("game:1"), { ...shared, leaveDebounceMs: 2000 });
    assert.equal(of("game:1"), of("game:2"));
    assert.deepEqual(of("game:final"), { ...shared, leaveDebounceMs: 100 });
    assert.deepEqual(of("room"), { ...shared, leaveDebounceMs: 100 });
    assert.equal(of("room"), of("hall"));
  });

  it("puts several flags together, and refuses the same pattern twice", () => {
    const both = addChannelSettings("channel", parse("a=interval:1s"), parse("__proto__=interval:2s"));
    assert.deepEqual(Object.entries(both), [
      ["a", { interval: 1000 }],
      ["__proto__", { interval: 2000 }],
    ]);
    assert.throws(() => addChannelSettings("channel", both, parse("a=interval:3s")), refused(/"a" is given twice/));
  });

  it("lets the most specific pattern count, and no other", () => {
    const channel = {
      "*": { announceMax: 1, interval: 100 },
      "lobby:*": { announceMax: 2 },
      "lobby:vip*": { announceMax: 3 },
      "lobby:vip": { announceMax: 4, interval: undefined },
    };
    for (const [name, announceMax, intervalMs] of [
      ["room", 1, 100],
      ["lobby", 1, 100],
      ["lobby:", 2, 1000],
      ["lobby:1", 2, 1000],
      ["lobby:vip:1", 3, 1000],
      ["lobby:vip", 4, 1000],
    ] as const) {
      assert.deepEqual(pace(channel, name), { announceMax, intervalMs }, name);
    }
  });

  it("leaves all other channels as they are for the whole server", () => {
    assert.deepEqual(pace(undefined, "room"), { announceMax: 500, intervalMs: 1000 });
    assert.deepEqual(pace({ "lobby:*": { announceMax: 1 } }, "room"), { announceMax: 500, intervalMs: 1000 });
    assert.deepEqual(pace({}, "__proto__"), { announceMax: 500, intervalMs: 1000 });
    assert.deepEqual(pace({ "room*": { announceMax: 1 } }, "room*"), { announceMax: 1, intervalMs: 1000 });
  });

  it("checks what a program gives", () => {
    checkChannelSettings("channel", {});
    checkChannelSettings("channel", { "lobby:*": { announceMax: 0, interval: undefined }, room: { interval: 60_000 } });
    for (const [value, message] of [
      ["lobby", /^channel: not an object such as \{"lobby:\*": \{announceMax: 50, interval: 5000\}\}$/],
      [[], /not an object/],
      [null, /not an object/],
      [{ "lo*by": {} }, /^channel: the pattern "lo\*by" has a star/],
      [{ lobby: 5 }, /the settings of "lobby" are not an object/],
      [
        { lobby: { announce_max: 5 } },
        /^channel: "lobby" sets announce_max; allowed: announceMax, interval, leaveDebounce$/,
      ],
      [
        { lobby: { interval: 9 } },
        /^channel: "lobby": interval: 9 is out of range; allowed: 10 to 60000 \(milliseconds\)$/,
      ],
      [{ lobby: { announceMax: 1.5 } }, /^channel: "lobby": announceMax: 1.5 is not a whole number$/],
      [{ lobby: { announceMax: "5" } }, /is not a whole number/],
    ] as const) {
      assert.throws(() => checkChannelSettings("channel", value), refused(message), JSON.stringify(value));
    }
  });
});
