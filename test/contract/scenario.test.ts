import assert from "node:assert/strict";
import { LANGUAGES, ROOT } from "../polyglot/languages.js";
import { play } from "../polyglot/play.js";
import { Runner } from "../polyglot/runner.js";
import { difference, readScenario } from "../polyglot/scenario.js";

describe("contract: the scenario of all languages", () => {
  // Two programs have to start.
  it("is played by grpc-js with Connect watching", async () => {
    const start = (name: string) => new Runner(name, LANGUAGES[name]!.run(""), ROOT);
    const [actor, watcher] = [start("ts-grpc-js"), start("ts-connect")];
    try {
      await play(readScenario(), actor, watcher);
    } finally {
      await Promise.all([actor.stop(), watcher.stop()]);
    }
  });

  // Without a function it is reported as pending, with the reason.
  const others = Object.keys(LANGUAGES).filter((name) => !name.startsWith("ts-"));
  it(`is played by ${others.join(", ")} (skipped: needs their toolchains; npm run test:polyglot)`);

  it("tells what is not as expected, and only that", () => {
    const same: [unknown, unknown][] = [
      [{ a: 1 }, { a: "1", more: true }],
      [{ pending: false, revision: 0, keys: [], state: { states: {} } }, { state: {} }],
      [{ remoteJoin: {} }, { remoteJoin: { occupancy: 2 } }],
      [[{ a: 1 }], [{ a: 1, b: 2 }]],
      [{ revision: "~^\\d{14}$" }, { revision: "13945651200004" }],
    ];
    for (const [expected, actual] of same) assert.equal(difference(expected, actual), undefined);
    const others: [unknown, unknown, RegExp][] = [
      [{ a: 1 }, { a: 2 }, /it\.a is 2; expected 1/],
      [{ a: 1 }, {}, /it\.a is not there/],
      [{ remoteJoin: {} }, { remoteLeave: {} }, /it\.remoteJoin is not there/],
      [{ states: { a: "" } }, { states: { b: "" } }, /it\.states\.a is not there/],
      [{ states: {} }, { states: { a: "1" } }, /it\.states is/],
      [{ keys: [] }, { keys: ["a"] }, /it\.keys is/],
      [{ revision: "~^\\d{14}$" }, { revision: 13945651200004 }, /it\.revision is 13945651200004/],
      [{ revision: "~^\\d{14}$" }, { revision: "1.3945651200004e13" }, /it\.revision is "1\.39/],
      [{ revision: "~^" }, {}, /it\.revision is not there/],
      [[{}, {}], [{}], /expected \[\{\},\{\}\]/],
    ];
    for (const [expected, actual, told] of others) assert.match(difference(expected, actual) ?? "nothing", told);
  });
});
