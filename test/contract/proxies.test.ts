import assert from "node:assert/strict";
import type { RollcallServer } from "../../src/server/server.js";
import type { ServerSettings } from "../../src/server/settings.js";
import { type Clock, systemClock } from "../../src/time/clock.js";
import { connect, message } from "../support/calls.js";
import { Listener } from "../support/listener.js";
import { isInstalled, type ProxyName, ProxyProcess } from "../support/proxy_process.js";
import { startTestServer } from "../support/server.js";
import { TcpProxy } from "../support/tcp_proxy.js";

const room = message("room");

/** What docs/proxies.md says of each proxy. */
const SEEN = {
  nginx: { cancel: "remoteTimeout", lost: "remoteTimeout" },
  haproxy: { cancel: "remoteLeave", lost: "remoteLeave" },
} as const;

/** A clock that runs `times` times as fast as the machine's. */
function fasterClock(times: number): Clock {
  return {
    now: () => ({ wall: Date.now(), tick: performance.now() * times }),
    setTimer: (delayMs, fire) => systemClock.setTimer(delayMs / times, fire),
  };
}

for (const name of Object.keys(SEEN) as ProxyName[]) {
  describe(`behind ${name}`, () => {
    let server: RollcallServer;
    let proxy: ProxyProcess;
    /** What a network between client and proxy does. */
    let network: TcpProxy;
    let anna: Listener;
    let ends: (() => void)[];

    before(function () {
      if (isInstalled(name)) return;
      this.test!.parent!.title += ` (skipped: ${name} is not installed)`;
      this.skip();
    });

    async function start(settings: Partial<ServerSettings> = {}, idleSeconds = 60, clock?: Clock): Promise<void> {
      server = await startTestServer({ presenceTimeout: 100, ...settings }, clock && { clock });
      proxy = await ProxyProcess.start(name, { target: server.address, idleSeconds });
      network = await TcpProxy.to(proxy.socket);
      anna = listen(server.address, "anna");
      await anna.opened();
    }

    function listen(address: string, userId: string): Listener {
      const { client, channel } = connect(address);
      ends.push(() => channel.close());
      return new Listener(client, { channel: room, userId });
    }

    /** Tony joins through the proxy. */
    async function tony(): Promise<Listener> {
      const listener = listen(network.address, "tony");
      await listener.opened();
      await anna.expect("remoteJoin");
      return listener;
    }

    beforeEach(() => {
      ends = [];
    });

    afterEach(async () => {
      for (const end of ends) end();
      await network.close();
      await proxy.end();
      await server.close();
    });

    it(`shows a cancel to the server as ${SEEN[name].cancel}`, async () => {
      await start();
      (await tony()).cancel();
      assert.equal((await anna.next()).event.case, SEEN[name].cancel);
    });

    it(`shows a lost connection to the server as ${SEEN[name].lost}`, async () => {
      await start();
      const lost = assert.rejects((await tony()).next());
      network.cut();
      assert.equal((await anna.next()).event.case, SEEN[name].lost);
      await lost;
    });

    it("passes LeaveChannel on, and the stream's end", async () => {
      await start();
      const listener = await tony();
      const { client, channel } = connect(network.address, "tony");
      ends.push(() => channel.close());
      await client.leaveChannel({ channel: room });
      await anna.expect("remoteLeave");
      await assert.rejects(listener.next(), /ended with OK/);
    });

    it("passes the reason of a graceful shutdown on", async () => {
      await start();
      const ended = assert.rejects((await tony()).next(), /the server is going down/);
      await server.close();
      await ended;
    });

    it("ends an idle stream at its timeout", async () => {
      await start({}, 1);
      await assert.rejects((await tony()).next(), { code: 13 });
    });

    it("keeps an idle stream for which the server sends heartbeats", async () => {
      await start({ streamHeartbeat: 5000 }, 1, fasterClock(20));
      const listener = await tony();
      // In twice the proxy's timeout come eight heartbeats.
      for (let i = 0; i < 8; i++) assert.deepEqual((await listener.nextMessage()).events, []);
    });
  });
}
