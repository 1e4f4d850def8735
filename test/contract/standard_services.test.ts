import assert from "node:assert/strict";
import { Client, credentials } from "@grpc/grpc-js";
import type { RollcallServer } from "../../src/server/server.js";
import { nextEvent } from "../support/deferred.js";
import { startTestServer } from "../support/server.js";
import { SECRET } from "../support/tokens.js";

const same = (bytes: Buffer): Buffer => bytes;
/** HealthCheckResponse { status: SERVING }. */
const SERVING = Buffer.from([8, 1]);
/** ServerReflectionRequest { list_services: "" }. */
const LIST_SERVICES = Buffer.from([0x3a, 0]);

for (const settings of [{}, { tokenSecret: SECRET }])
  describe(`the standard services on the same port${"tokenSecret" in settings ? ", without a token" : ""}`, () => {
    let server: RollcallServer;
    let client: Client;

    beforeEach(async () => {
      server = await startTestServer(settings);
      client = new Client(server.address, credentials.createInsecure(), { "grpc.use_local_subchannel_pool": 1 });
    });

    afterEach(async () => {
      client.close();
      await server.close();
    });

    function check(service: string): Promise<Buffer> {
      const request = Buffer.concat([Buffer.from([0x0a, service.length]), Buffer.from(service)]);
      return new Promise((resolve, reject) => {
        client.makeUnaryRequest("/grpc.health.v1.Health/Check", same, same, request, (error, response) => {
          if (error) reject(error);
          else resolve(response!);
        });
      });
    }

    it("health answers SERVING for the server and for the service, and NOT_FOUND for another", async () => {
      assert.deepEqual(await check(""), SERVING);
      assert.deepEqual(await check("presence.v1.PresenceService"), SERVING);
      await assert.rejects(check("presence.v9.PresenceService"), /NOT_FOUND/);
    });

    it("S24: health watchers are told NOT_SERVING when the server goes down", async () => {
      const watch = client.makeServerStreamRequest("/grpc.health.v1.Health/Watch", same, same, Buffer.alloc(0));
      watch.on("error", () => {});
      assert.deepEqual((await nextEvent(watch, "data"))[0], SERVING);
      const told = nextEvent(watch, "data");
      const closed = server.close();
      assert.deepEqual((await told)[0], Buffer.from([8, 2]));
      await closed;
    });

    for (const version of ["v1", "v1alpha"]) {
      it(`reflection ${version} lists the service`, async () => {
        const path = `/grpc.reflection.${version}.ServerReflection/ServerReflectionInfo`;
        const call = client.makeBidiStreamRequest(path, same, same);
        const answer = nextEvent(call, "data");
        call.write(LIST_SERVICES);
        assert.match(String((await answer)[0]), /presence\.v1\.PresenceService/);
        call.end();
        call.resume();
        await nextEvent(call, "end");
      });
    }
  });
