import assert from "node:assert/strict";
import { nodeWarning } from "../../../src/server/node_release.js";

describe("the Node that a server runs on", () => {
  for (const version of ["20.20.2", "18.0.0", "21.7.3", "22.23.1", "22.9.4", "23.11.0", "24.18.0", "25.9.0", "26.5.0"])
    it(`${version} is warned of`, () => {
      const warning = nodeWarning("0.0.0.0", version);
      assert.match(
        String(warning),
        new RegExp(`^Node ${version} .*CVE-2026-56846.*22\\.23\\.2, 24\\.18\\.1, 26\\.5\\.1`),
      );
    });

  for (const version of ["22.23.2", "22.24.0", "24.18.1", "24.21.0", "26.5.1", "26.10.0", "27.0.0", "28.1.0-nightly"])
    it(`${version} is not`, () => assert.equal(nodeWarning("0.0.0.0", version), undefined));

  it("on loopback nobody is warned", () => {
    for (const host of ["127.0.0.1", "localhost", "::1"]) assert.equal(nodeWarning(host, "20.20.2"), undefined);
  });
});
