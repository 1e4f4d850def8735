import { once } from "node:events";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";

/** A small issuer on 127.0.0.1 that publishes keys, which a test may change. */
export async function startJwksServer() {
  const issuer = {
    keys: [] as object[],
    /** What it answers with instead of 200. */
    status: 200,
    /** What it answers with instead of the keys. */
    body: undefined as string | undefined,
    /** How often it was asked. */
    asked: 0,
    url: "",
    close: async () => {
      const closed = once(server, "close");
      server.close();
      server.closeAllConnections();
      await closed;
    },
  };
  const server = createServer((_request, response) => {
    issuer.asked += 1;
    response.writeHead(issuer.status, { "content-type": "application/json", location: issuer.url });
    response.end(issuer.body ?? JSON.stringify({ keys: issuer.keys }));
  });
  server.listen(0, "127.0.0.1");
  await once(server, "listening");
  issuer.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}/jwks.json`;
  return issuer;
}
