import assert from "node:assert/strict";
import { type ChildProcess, fork } from "node:child_process";
import { fileURLToPath } from "node:url";
import { endChild } from "../support/child.js";
import { nextEvent } from "../support/deferred.js";
import { startTestServer } from "../support/server.js";
import { TcpProxy } from "../support/tcp_proxy.js";

const CLIENT = fileURLToPath(new URL("../support/passing_client_process.ts", import.meta.url));

describe("a client that stops while its connection is away", () => {
  let child: ChildProcess;

  afterEach(() => endChild(child));

  for (const way of ["close", "abort"]) {
    it(`leaves no timer and no handle behind, by ${way}`, async () => {
      const server = await startTestServer();
      const proxy = await TcpProxy.to(server.address);
      child = fork(CLIENT, [proxy.address, way], { execArgv: ["--import", "tsx"] });
      await nextEvent(child, "message");
      const exited = nextEvent<[number | null, string | null]>(child, "exit");
      proxy.refuse();
      assert.deepEqual(await exited, [0, null]);
      await proxy.close();
      await server.close();
    });
  }
});
