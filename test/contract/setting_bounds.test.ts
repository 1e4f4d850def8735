import assert from "node:assert/strict";
import { SETTINGS, type ServerSettings } from "../../src/server/settings.js";
import { connect, message } from "../support/calls.js";
import { refusalOf } from "../support/refusal.js";
import { startTestServer } from "../support/server.js";

/** What a setting at a bound needs of others. */
const WITH: Partial<Record<keyof ServerSettings, Partial<ServerSettings>>> = {
  keepalive: { keepaliveTimeout: 100 },
  keepaliveTimeout: { keepalive: 300_000 },
  maxStateBytes: { maxRequestBytes: 4 * 1024 * 1024 },
  maxRequestBytes: { maxStateBytes: 1024 },
};

/** Servers with each number of the settings at its least and at its greatest. */
describe("settings at their bounds", () => {
  for (const [key, setting] of Object.entries(SETTINGS) as [keyof ServerSettings, (typeof SETTINGS)["listen"]][]) {
    if (!("min" in setting) || setting.deprecated) continue;
    for (const value of [setting.min, setting.max]) {
      // Closing such a server takes that long; test/contract/shutdown.test.ts moves a clock instead.
      if (key === "shutdownDelay" && value > 0) continue;
      it(`--${setting.flag} ${value}: serves calls, or says why it does not start`, async () => {
        const starting = startTestServer({ ...WITH[key], [key]: value });
        const server = await starting.catch((error: Error) => {
          assert.equal(error.name, "SettingError");
          assert.match(error.message, new RegExp(`--${setting.flag} .*--`), "two settings that contradict each other");
        });
        if (!server) return;
        const { client, channel } = connect(server.address, "tony");
        try {
          const answer = client.joinChannel({ channel: message("room") });
          const refusal = await answer.then(
            () => undefined,
            () => refusalOf(answer),
          );
          assert.notEqual(refusal?.code, "INTERNAL");
          assert.notEqual(refusal?.code, "UNKNOWN");
        } finally {
          channel.close();
          await server.close();
        }
      });
    }
  }
});
