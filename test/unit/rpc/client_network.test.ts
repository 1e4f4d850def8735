import assert from "node:assert/strict";
import { networkOf } from "../../../src/rpc/client_network.js";

describe("rpc: whose a connection is", () => {
  const same: readonly [string, string][] = [
    ["192.0.2.1", "192.0.2.1"],
    ["192.0.2.1", "::ffff:192.0.2.1"],
    ["192.0.2.1", "::FFFF:192.0.2.1"],
    ["2001:db8:1:2::1", "2001:db8:1:2::2"],
    ["2001:db8:1:2::1", "2001:DB8:1:2:a:b:c:d"],
    ["2001:db8::1", "2001:db8:0:0:1:2:3:4"],
    ["2001:db8::1", "2001:0db8:0000:0000:1:2:3:4"],
    ["fe80::1%eth0", "fe80::2"],
    ["::1", "::2"],
    ["1::", "1::7:8"],
    ["1:2:3:4::", "1:2:3:4:5:6:7::"],
  ];
  for (const [one, other] of same) {
    it(`${one} and ${other} are of one network`, () => assert.equal(networkOf(one), networkOf(other)));
  }

  const apart: readonly [string, string][] = [
    ["192.0.2.1", "192.0.2.2"],
    ["192.0.2.1", "::ffff:192.0.2.2"],
    ["2001:db8:1:2::1", "2001:db8:1:3::1"],
    ["2001:db8:1:2::1", "2001:db8:1:20::1"],
    ["::1:2:3:4:5", "::1:2:3:4:5:6"],
    ["1::", "::1"],
  ];
  for (const [one, other] of apart) {
    it(`${one} and ${other} are not`, () => assert.notEqual(networkOf(one), networkOf(other)));
  }
});
