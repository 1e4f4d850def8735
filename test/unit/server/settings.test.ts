import assert from "node:assert/strict";
import fc from "fast-check";
import {
  checkSettings,
  defaultSettings,
  environmentName,
  formatAddress,
  parseSetting,
  SETTINGS,
  type ServerSettings,
} from "../../../src/server/settings.js";
import { property } from "../../support/property.js";

type Name = keyof ServerSettings;
const names = Object.keys(SETTINGS) as Name[];

const parse = (name: Name, text: string): unknown => parseSetting(SETTINGS[name], text);

/** A refusal of these settings that says this. */
const refused = (message: RegExp) => ({ name: "SettingError", message });

describe("server: settings", () => {
  it("have the defaults of the rules", () => {
    assert.deepEqual(defaultSettings(), {
      listen: { host: "127.0.0.1", port: 50051 },
      trustCallers: false,
      tokenSecret: undefined,
      tokenSecretFile: undefined,
      tokenKeyFile: undefined,
      tokenJwks: undefined,
      tokenAlgorithms: undefined,
      tokenIssuer: undefined,
      tokenAudience: undefined,
      tokenLeeway: 5000,
      jwksMaxAge: 600_000,
      jwksCooldown: 30_000,
      streamTokenGrace: 0,
      devSecret: false,
      tlsCert: undefined,
      tlsKey: undefined,
      tlsClientCa: undefined,
      identityFromCert: false,
      metrics: undefined,
      reflection: "on",
      logLevel: "info",
      presenceTimeout: 30_000,
      leaveOnCancel: true,
      sameUser: "multi",
      streamHeartbeat: 0,
      keepalive: 10_000,
      keepaliveTimeout: 5000,
      leaseTtl: 30_000,
      pendingTtl: 300_000,
      resumeTtl: 60_000,
      resumeEvents: 1000,
      resumeBytes: 262_144,
      readerBuffer: 262_144,
      laggingTimeout: 60_000,
      announceMax: 500,
      interval: 1000,
      leaveDebounce: 0,
      channel: undefined,
      shutdownDelay: 0,
      drainTime: 10_000,
      maxStatePairs: 32,
      maxStateBytes: 16_384,
      maxPendingPairs: 100,
      maxChannelsPerUser: 100,
      maxSessionsPerUser: 32,
      maxConnectionsPerAddress: 0,
      wastedConnectionDelay: undefined,
      maxConnectionBytesPerSecond: undefined,
      maxStreamsPerConnection: 2000,
      maxTokenLife: 86_400_000,
      requestTimeout: 10_000,
      maxUnfinishedBytes: 67_108_864,
      maxUnreadBytes: 67_108_864,
      rateLimit: 20,
      rateBurst: 40,
      appRateLimit: 0,
      appRateBurst: 2000,
      streamRateLimit: 5,
      streamRateBurst: 100,
      appStreamRateLimit: 0,
      appStreamRateBurst: 2000,
      appMaxChannels: 0,
      appMaxMembers: 0,
      appMaxBytes: 0,
      appMaxPending: 0,
      appMaxStreams: 0,
      maxMemoryPercent: 60,
      resumeTotalBytes: 268_435_456,
      maxRequestBytes: 65_536,
      maxBatchBytes: 1_048_576,
    });
    checkSettings(defaultSettings());
  });

  it("have a flag, a variable, and a word of help each, none twice", () => {
    const flags = names.map((name) => SETTINGS[name].flag);
    assert.equal(new Set(flags).size, names.length);
    for (const name of names) {
      const { flag, help } = SETTINGS[name];
      assert.equal(
        flag,
        name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`),
      );
      assert.ok(help.length > 10 && help.length < 100 && !help.endsWith("."), help);
    }
    assert.equal(environmentName(SETTINGS.presenceTimeout), "ROLLCALL_PRESENCE_TIMEOUT");
  });

  it("reads durations with their units", () => {
    for (const [text, ms] of [
      ["0", 0],
      ["0s", 0],
      ["500ms", 500],
      ["30s", 30_000],
      ["1.5s", 1500],
      ["5m", 300_000],
      ["0.05h", 180_000],
      ["1.001s", 1001],
      ["4.035s", 4035],
    ] as const) {
      assert.equal(parse("presenceTimeout", text), ms, text);
    }
  });

  it("reads sizes and counts", () => {
    assert.equal(parse("resumeBytes", "65536"), 65_536);
    assert.equal(parse("resumeBytes", "65536B"), 65_536);
    assert.equal(parse("resumeBytes", "64KiB"), 65_536);
    assert.equal(parse("resumeBytes", "1.5MiB"), 1_572_864);
    assert.equal(parse("resumeBytes", "0"), 0);
    assert.equal(parse("maxStatePairs", "7"), 7);
    assert.equal(parse("resumeEvents", "0"), 0);
  });

  it("refuses what is no quantity, and says what would be one", () => {
    const bad = ["", " ", "s", "30", "30 s", "-1s", "+1s", "1e3s", "30S", "30min", "1,5s", ".5s", "∞", "NaN", "0x10s"];
    for (const text of [...bad, "5toString", "5constructor", "5valueOf"]) {
      assert.throws(
        () => parse("presenceTimeout", text),
        refused(/^--presence-timeout: ".*" is not a duration, such as 30s or 500ms$/),
        text,
      );
    }
    for (const text of ["", "64kb", "64K", "-1", "1s", "5toString"]) {
      assert.throws(() => parse("resumeBytes", text), refused(/is not a bytes|such as 65536 or 64KiB/), text);
    }
    for (const text of ["", "many", "7s", "-7", "5toString"]) {
      assert.throws(() => parse("maxStatePairs", text), refused(/such as 100$/), text);
    }
  });

  it("refuses parts of what cannot be parted", () => {
    for (const [name, text] of [
      ["maxStatePairs", "1.5"],
      ["resumeBytes", "1.5"],
      ["resumeBytes", "0.0001KiB"],
      ["presenceTimeout", "0.4ms"],
      ["presenceTimeout", "0.0001s"],
    ] as const) {
      assert.throws(() => parse(name, text), refused(/whole/), `${name} ${text}`);
    }
  });

  it("refuses what is out of range, and says the range", () => {
    assert.throws(
      () => parse("presenceTimeout", "301s"),
      refused(/^--presence-timeout: 301s is out of range; allowed: 0s to 300s$/),
    );
    assert.throws(() => parse("keepaliveTimeout", "99ms"), refused(/allowed: 100ms to 300s$/));
    assert.throws(() => parse("maxStateBytes", "63"), refused(/allowed: 64B to 128KiB$/));
    assert.throws(() => parse("maxStatePairs", "0"), refused(/allowed: 1 to 1000$/));
    assert.throws(() => parse("maxStatePairs", `${"9".repeat(400)}`), refused(/out of range/));
  });

  it("takes every setting's bounds, and nothing beyond them", () => {
    for (const name of names) {
      const setting = SETTINGS[name];
      if (!("min" in setting)) continue;
      const unit = setting.kind === "duration" ? "ms" : "";
      for (const bound of [setting.min, setting.max]) assert.equal(parse(name, `${bound}${unit}`), bound);
      assert.throws(() => parse(name, `${setting.max + 1}${unit}`), refused(/out of range/));
      if (setting.min > 0) assert.throws(() => parse(name, `${setting.min - 1}${unit}`), refused(/out of range/));
    }
  });

  it("reads addresses, and writes them as it reads them", () => {
    for (const [text, address] of [
      ["127.0.0.1:50051", { host: "127.0.0.1", port: 50051 }],
      ["localhost:0", { host: "localhost", port: 0 }],
      ["presence.example.com:65535", { host: "presence.example.com", port: 65_535 }],
      ["[::1]:50051", { host: "::1", port: 50051 }],
      ["[::]:1", { host: "::", port: 1 }],
    ] as const) {
      assert.deepEqual(parse("listen", text), address, text);
      assert.equal(formatAddress(address), text);
    }
  });

  it("refuses what is no address", () => {
    const bad = ["", "50051", ":50051", "localhost", "localhost:", "localhost:65536", "localhost:-1", "::1:50051"];
    for (const text of [
      ...bad,
      "[::1]",
      "[localhost]:1",
      "a b:1",
      "http://localhost:1",
      "localhost:1/",
      "localhost:1e3",
    ]) {
      assert.throws(
        () => parse("listen", text),
        refused(/is not HOST:PORT, such as 127\.0\.0\.1:50051 or \[::1\]:50051$/),
        text,
      );
    }
  });

  it("reads switches and choices", () => {
    assert.equal(parse("trustCallers", "true"), true);
    assert.equal(parse("trustCallers", "false"), false);
    assert.equal(parse("leaveOnCancel", "false"), false);
    assert.equal(parse("leaveOnCancel", "true"), true);
    assert.equal(parse("sameUser", "single"), "single");
    assert.throws(() => parse("trustCallers", "yes"), refused(/^--trust-callers: "yes" is not one of true, false$/));
    assert.throws(() => parse("sameUser", "both"), refused(/"both" is not one of multi, single$/));
    assert.throws(() => parse("logLevel", "INFO"), refused(/is not one of trace, debug, info, warn, error, silent$/));
  });

  const number = fc.oneof(fc.constantFrom("0", "1", "300", "1000"), fc.double().map(String), fc.string());
  const unit = fc.oneof(fc.constantFrom("", "ms", "s", "h", "B", "KiB", "toString"), fc.string());
  const anyText = fc.tuple(number, unit).map(([number, unit]) => number + unit);

  property("never reads anything but a value in range", [fc.constantFrom(...names), anyText], (name, text) => {
    const setting = SETTINGS[name];
    let value: unknown;
    try {
      value = parseSetting(setting, text);
    } catch (error) {
      assert.equal((error as Error).name, "SettingError");
      return;
    }
    if ("min" in setting)
      assert.ok(Number.isInteger(value) && (value as number) >= setting.min && (value as number) <= setting.max);
  });

  const settings = (some: Partial<ServerSettings>): ServerSettings => ({ ...defaultSettings(), ...some });

  it("S20 refuse to listen beyond this machine unless callers are to be trusted", () => {
    for (const host of [
      "0.0.0.0",
      "::",
      "192.168.0.1",
      "example.com",
      "127.evil.example",
      "1270.0.0.1",
      "localhost.evil",
    ]) {
      const listen = { host, port: 1 };
      assert.throws(() => checkSettings(settings({ listen })), refused(/--trust-callers/), host);
      checkSettings(settings({ listen, trustCallers: true }));
    }
    for (const host of ["127.0.0.1", "127.1.2.3", "localhost", "::1"])
      checkSettings(settings({ listen: { host, port: 1 } }));
  });

  it("refuse what makes no sense together", () => {
    const tooLarge = settings({ maxStateBytes: 2048, maxRequestBytes: 2047 });
    assert.throws(() => checkSettings(tooLarge), refused(/^--max-state-bytes 2048 .* --max-request-bytes is 2047$/));
    const overlapping = settings({ keepalive: 1000, keepaliveTimeout: 1001 });
    assert.throws(
      () => checkSettings(overlapping),
      refused(/--keepalive-timeout 1001ms is longer than --keepalive 1000ms/),
    );
    assert.throws(
      () => checkSettings(settings({ rateLimit: 1, rateBurst: 601 })),
      refused(/--rate-burst 601 takes longer than 600 s to come back at --rate-limit 1: raise the one or lower/),
    );
    assert.throws(
      () => checkSettings(settings({ appStreamRateLimit: 2, appStreamRateBurst: 1201 })),
      refused(/--app-stream-rate-burst 1201 takes longer than 600 s to come back at --app-stream-rate-limit 2/),
    );
    checkSettings(settings({ rateLimit: 1, rateBurst: 600 }));
    checkSettings(settings({ rateLimit: 0, rateBurst: 1_000_000 }));
    checkSettings(settings({ keepalive: 1000, keepaliveTimeout: 1000, maxStateBytes: 2048, maxRequestBytes: 2048 }));
  });
});
