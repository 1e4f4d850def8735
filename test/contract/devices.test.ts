import assert from "node:assert/strict";
import type { RollcallServer } from "../../src/server/server.js";
import { connect, message } from "../support/calls.js";
import { Listener } from "../support/listener.js";
import { startTestServer } from "../support/server.js";

const room = message("devices");

/** What others hear of a user with several devices, some of them lost, on real connections. */
describe("devices of one user, over real sockets", () => {
  let server: RollcallServer;
  let desktop: ReturnType<typeof connect>;
  let phone: ReturnType<typeof connect>;
  let anna: Listener;

  beforeEach(async () => {
    server = await startTestServer();
    desktop = connect(server.address);
    phone = connect(server.address);
    anna = new Listener(desktop.client, { channel: room, userId: "anna" });
    await anna.opened();
  });

  afterEach(async () => {
    desktop.channel.close();
    phone.channel.close();
    await server.close();
  });

  /** The users whose events come before one that is caused now, with their kinds. */
  async function heard(): Promise<string[]> {
    await desktop.client.joinChannel({ channel: room, userId: "end" });
    const events: string[] = [];
    for (;;) {
      const { userId, event } = await anna.next();
      if (userId === "end") return events;
      events.push(`${event.case} ${userId}`);
    }
  }

  it("S4: a session that returns with the initial states it began with does not undo what was set since", async () => {
    const begin = { channel: room, userId: "tony", initialStates: { mood: "available" } };
    const lost = new Listener(phone.client, begin);
    const { sessionId } = await lost.expect("subscribed");
    await desktop.client.setState({ channel: room, userId: "tony", states: { mood: "busy" } });
    assert.deepEqual(await heard(), ["remoteJoin tony", "remoteStateChanged tony", "remoteStateChanged tony"]);
    phone.channel.close();
    await desktop.client.leaveChannel({ channel: room, userId: "end" });
    await anna.expect("remoteLeave");

    const back = new Listener(desktop.client, { ...begin, sessionId });
    const { resumed } = await back.expect("subscribed");
    const { state } = await desktop.client.getState({ channel: room, userId: "tony" });
    assert.deepEqual([resumed, state!.states], [true, { mood: "busy" }]);
    assert.deepEqual(await heard(), []);
  });
});
