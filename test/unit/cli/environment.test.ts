import assert from "node:assert/strict";
import { unknownVariables } from "../../../src/cli/environment.js";
import { environmentName, SETTINGS } from "../../../src/server/settings.js";
import { FakeIo, rollcall } from "./fake_io.js";

describe("unknownVariables", () => {
  it("names a misspelt variable and the nearest one, of the clients and of the server", async () => {
    const env = { ROLLCALL_ADRESS: "x", ROLLCALL_PRESENCE_TIMOUT: "5s", ROLLCALL_TOKEN_SECERT: "s", PATH: "/" };
    assert.deepEqual(
      (await unknownVariables(env)).map((message) => message.match(/ROLLCALL_\w+/g)),
      [
        ["ROLLCALL_ADRESS", "ROLLCALL_ADDRESS"],
        ["ROLLCALL_PRESENCE_TIMOUT", "ROLLCALL_PRESENCE_TIMEOUT"],
        ["ROLLCALL_TOKEN_SECERT", "ROLLCALL_TOKEN_SECRET"],
      ],
    );
  });

  it("accepts every variable of every command, and those that Kubernetes sets for a Service", async () => {
    const names = [
      ...["ROLLCALL_USER", "ROLLCALL_ADDRESS", "ROLLCALL_TOKEN"],
      ...Object.values(SETTINGS).map(environmentName),
      ...["ROLLCALL_SERVICE_HOST", "ROLLCALL_SERVICE_PORT", "ROLLCALL_PORT", "ROLLCALL_PORT_50051_TCP_ADDR"],
    ];
    assert.deepEqual(await unknownVariables(Object.fromEntries(names.map((name) => [name, ""]))), []);
  });

  it("is a warning on stderr, as JSON with --json", async () => {
    const line = async (...args: string[]) =>
      (await rollcall(["get", "room", ...args], new FakeIo({ env: { ROLLCALL_USR: "x" } }))).err[0]!;
    assert.match(await line(), /^rollcall: warning: .*ROLLCALL_USR is ignored.*ROLLCALL_USER$/);
    assert.match(JSON.parse(await line("--json")).warning.message, /ROLLCALL_USR is ignored/);
  });
});
