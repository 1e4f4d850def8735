import assert from "node:assert/strict";
import { resolveSettings } from "../../../src/server/given_settings.js";
import { defaultSettings, type ServerSettings } from "../../../src/server/settings.js";

/** Settings as a program without types may give them. */
const resolve = (given: object) => resolveSettings(given as Partial<ServerSettings>);

describe("server: settings that a program gives", () => {
  it("are the defaults where nothing is given, or undefined", () => {
    assert.deepEqual(resolve({}), defaultSettings());
    const nothing = Object.fromEntries(Object.keys(defaultSettings()).map((key) => [key, undefined]));
    assert.deepEqual(resolve(nothing), defaultSettings());
    assert.deepEqual(resolve({ announceMax: 7, interval: undefined }), { ...defaultSettings(), announceMax: 7 });
  });

  it("are refused where they are not allowed, with what is", () => {
    for (const [given, message] of [
      [{ annouceMax: 5 }, /^annouceMax: there is no such setting; there are listen, /],
      [{ toString: 5 }, /^toString: there is no such setting/],
      [{ announceMax: -1 }, /^announceMax: -1 is out of range; allowed: 0 to 1000000$/],
      [{ announceMax: "5" }, /^announceMax: 5 is not a whole number$/],
      [{ announceMax: Number.NaN }, /^announceMax: NaN is not a whole number$/],
      [{ interval: 9 }, /^interval: 9 is out of range; allowed: 10 to 60000 \(milliseconds\)$/],
      [{ interval: 0.5 }, /^interval: 0.5 is not a whole number of milliseconds$/],
      [{ readerBuffer: 4095 }, /^readerBuffer: 4095 is out of range; allowed: 4096 to 2097152 \(bytes\)$/],
      [{ presenceTimeout: null }, /^presenceTimeout: null is not a whole number of milliseconds$/],
      [{ sameUser: "both" }, /^sameUser: both is not one of multi, single$/],
      [{ leaveOnCancel: "true" }, /^leaveOnCancel: true is not one of true, false$/],
      [{ trustCallers: 1 }, /^trustCallers: 1 is not true or false$/],
      [{ listen: "127.0.0.1:1" }, /^listen: 127.0.0.1:1 is not \{ host, port \} with a port from 0 to 65535$/],
      [{ listen: { host: "127.0.0.1", port: 65_536 } }, /^listen: this is not \{ host, port \}/],
      [{ channel: { "a*b": {} } }, /^channel: the pattern "a\*b"/],
      [{ maxStateBytes: 2048, maxRequestBytes: 1024 }, /--max-request-bytes is 1024/],
    ] as const) {
      assert.throws(() => resolve(given), { name: "SettingError", message }, JSON.stringify(given));
    }
  });
});
