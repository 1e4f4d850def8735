import assert from "node:assert/strict";
import { Inbox } from "../../support/inbox.js";

describe("support: Inbox", () => {
  it("keeps what came before anybody asked, in order", async () => {
    const inbox = new Inbox<number>();
    inbox.push(1);
    inbox.push(2);
    assert.equal(inbox.size, 2);
    assert.equal(await inbox.next(), 1);
    assert.equal(await inbox.next(), 2);
    assert.equal(inbox.size, 0);
  });

  it("wakes who waits", async () => {
    const inbox = new Inbox<number>();
    const next = inbox.next();
    inbox.push(1);
    inbox.push(2);
    assert.equal(await next, 1);
    assert.equal(inbox.size, 1);
  });

  it("waits for an item of a kind and drops those before it", async () => {
    const inbox = new Inbox<number>();
    inbox.push(1);
    const even = inbox.until((item) => item % 2 === 0);
    for (const item of [3, 4, 5]) inbox.push(item);
    assert.equal(await even, 4);
    assert.deepEqual(inbox.drain(), [5]);
  });

  it("takes a number of items", async () => {
    const inbox = new Inbox<number>();
    inbox.push(1);
    const three = inbox.take(3);
    for (const item of [2, 3, 4]) inbox.push(item);
    assert.deepEqual(await three, [1, 2, 3]);
    assert.equal(inbox.size, 1);
  });

  it("still gives what is there after the end, then the reason", async () => {
    const inbox = new Inbox<number>();
    inbox.push(1);
    assert.equal(inbox.ended, false);
    inbox.end(new Error("closed"));
    inbox.end(new Error("closed again"));
    assert.equal(inbox.ended, true);
    assert.equal(await inbox.next(), 1);
    await assert.rejects(inbox.next(), /^Error: closed$/);
  });

  it("tells who waits that it ended", async () => {
    const inbox = new Inbox<number>();
    const next = inbox.until((item) => item > 1);
    inbox.push(1);
    inbox.end();
    await assert.rejects(next, /it ended/);
  });

  it("serves a wait that began before the one before it was looked at", async () => {
    const inbox = new Inbox<number>();
    inbox.push(1);
    const [first, second] = [inbox.next(), inbox.next()];
    assert.equal(await first, 1);
    inbox.push(2);
    assert.equal(await second, 2);
  });

  it("refuses a second wait at the same time", async () => {
    const inbox = new Inbox<number>();
    const next = inbox.next();
    assert.throws(() => inbox.next(), /somebody waits already/);
    inbox.push(1);
    assert.equal(await next, 1);
  });
});
