import assert from "node:assert/strict";
import { Metadata } from "nice-grpc";
import type { RollcallServer } from "../../src/server/server.js";
import { connect, message } from "../support/calls.js";
import { within } from "../support/deferred.js";
import { Listener } from "../support/listener.js";
import { startTestServer } from "../support/server.js";

const channel = message("room");
/** A value whose Huffman code is longer than itself, so that it is sent as it is. */
const value = (length: number): string => "~".repeat(length);

/** Metadata beyond the 64 KiB that the server announces (S21). */
describe("metadata of a call", () => {
  let server: RollcallServer;
  let shared: ReturnType<typeof connect>;
  let subscription: Listener;

  beforeEach(async () => {
    server = await startTestServer();
    shared = connect(server.address);
    subscription = new Listener(shared.client, { channel, userId: "anna", includeSelf: true });
    await subscription.opened();
  });

  afterEach(async () => {
    subscription.cancel();
    shared.channel.close();
    await server.close();
  });

  function set(entries: Readonly<Record<string, string>>, mood: string) {
    const request = { channel, userId: "anna", states: { mood } };
    return shared.client.setState(request, { metadata: Metadata(entries) });
  }

  it("of 60 KB is taken", async () => {
    await set({ large: value(60_000) }, "calm");
    await subscription.expect("remoteStateChanged");
  });

  it("of 65 entries of 1 KiB fails its call, and other streams of the connection go on", async () => {
    const entries = Object.fromEntries(Array.from({ length: 65 }, (_, i) => [`entry-${i}`, value(1024)]));
    await assert.rejects(set(entries, "loud"), /RESOURCE_EXHAUSTED/);
    await set({}, "calm");
    const changed = await subscription.expect("remoteStateChanged");
    assert.equal(changed.state?.states.mood, "calm");
  });

  const ending: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    "one entry of 65 KiB": { large: value(65 * 1024) },
    "more than 8 CONTINUATION frames": Object.fromEntries(
      Array.from({ length: 100 }, (_, i) => [`entry-${i}`, value(1600)]),
    ),
  };
  for (const [what, entries] of Object.entries(ending)) {
    it(`of ${what} ends the connection, at once and for all that goes over it`, async () => {
      const ended = assert.rejects(subscription.next());
      await assert.rejects(set(entries, "loud"));
      await within("the end of the stream", ended);
      await set({}, "calm");
    });
  }
});
