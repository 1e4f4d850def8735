import assert from "node:assert/strict";
import { ipCredentials } from "../../../src/client/ip_credentials.js";

function nameFor(address: string): unknown {
  return ipCredentials(address)?.channelOptions["grpc.ssl_target_name_override"];
}

describe("client: TLS to an IP address", () => {
  it("names it to the server by a name, as reverse look-ups do", () => {
    assert.equal(nameFor("https://10.1.2.3"), "3.2.1.10.in-addr.arpa");
    assert.equal(nameFor("https://10.1.2.3:50051"), "3.2.1.10.in-addr.arpa");
    const zeros = (count: number): string => "0.".repeat(count);
    assert.equal(nameFor("https://[::1]:50051"), `1.${zeros(31)}ip6.arpa`);
    assert.equal(nameFor("https://[::]"), `${zeros(32)}ip6.arpa`);
    assert.equal(nameFor("https://[2001:DB8::c0]"), `0.c.${zeros(22)}8.b.d.0.1.0.0.2.ip6.arpa`);
    assert.equal(nameFor("https://[fe80::1%eth0]"), `1.${zeros(28)}8.e.f.ip6.arpa`);
    assert.equal(nameFor("https://[::ffff:1.2.3.4]"), `4.0.3.0.2.0.1.0.f.f.f.f.${zeros(20)}ip6.arpa`);
    assert.equal(
      nameFor("https://[1:2:3:4:5:6:7:8]"),
      "8.0.0.0.7.0.0.0.6.0.0.0.5.0.0.0.4.0.0.0.3.0.0.0.2.0.0.0.1.0.0.0.ip6.arpa",
    );
  });

  it("leaves names, and what is not TLS, as they are", () => {
    for (const address of [
      "https://presence.example:443",
      "https://localhost",
      "10.1.2.3:50051",
      "dns:///10.1.2.3",
      "",
    ])
      assert.equal(ipCredentials(address), undefined, address);
  });
});
