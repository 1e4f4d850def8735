import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { CompressedRequests } from "../../../src/rpc/compressed_requests.js";
import { deferred } from "../../support/deferred.js";

const MESSAGE = Buffer.from("a message");

/** A compressed request as grpc-js has it, whose decompression ends when told to. */
class FakeRequest {
  readonly incomingEncoding: string;
  readonly stream: EventEmitter & { readonly session: object };
  readonly #decompressed = deferred<Buffer>();
  hasStarted = false;

  constructor(requests: CompressedRequests, session: object, encoding = "gzip") {
    this.incomingEncoding = encoding;
    this.stream = Object.assign(new EventEmitter(), { session, write: () => true, close: () => {} });
    requests.interceptor({} as never, this as never);
  }

  /** As grpc-js calls it when the message is complete. */
  decompressMessage(_message?: Buffer, _encoding?: string): Promise<Buffer> {
    this.hasStarted = true;
    return this.#decompressed.promise;
  }

  arrive(encoding = "gzip"): Promise<Buffer> {
    return this.decompressMessage(MESSAGE, encoding);
  }

  async finish(): Promise<void> {
    this.#decompressed.resolve(MESSAGE);
    await new Promise(setImmediate);
  }

  async fail(): Promise<void> {
    this.#decompressed.reject(new Error("no gzip"));
    await new Promise(setImmediate);
  }
}

const started = (all: readonly FakeRequest[]): number => all.filter(({ hasStarted }) => hasStarted).length;

describe("decompressing requests", () => {
  const make = (requests: CompressedRequests, count: number, session: object): FakeRequest[] =>
    Array.from({ length: count }, () => new FakeRequest(requests, session));

  it("runs eight at a time, and the next when one ends", async () => {
    const all = make(new CompressedRequests(), 30, {});
    const messages = all.map((request) => request.arrive());
    assert.equal(started(all), 8);
    await all[0]!.finish();
    assert.equal(started(all), 9);
    messages[1]!.catch(() => {});
    await all[1]!.fail();
    assert.equal(started(all), 10);
    for (const request of all) await request.finish();
    assert.equal(await messages[29], MESSAGE);
  });

  it("connections take turns", async () => {
    const requests = new CompressedRequests();
    const flood = make(requests, 100, {});
    for (const request of flood) request.arrive();
    const others = [...make(requests, 2, {}), ...make(requests, 1, {})];
    for (const request of others) request.arrive();
    for (let i = 0; i < 5; i++) await flood[i]!.finish();
    assert.equal(started(others), 3);
    assert.equal(started(flood), 8 + 2);
  });

  it("what has not arrived takes no place, nor does a message without compression", () => {
    const requests = new CompressedRequests();
    make(requests, 100, {});
    for (const request of make(requests, 100, {})) request.arrive("identity");
    const [late] = make(requests, 1, {});
    late!.arrive();
    assert.equal(late!.hasStarted, true);
  });

  it("leaves a call without compression untouched: a method of its own would cost each call memory", () => {
    const request = new FakeRequest(new CompressedRequests(), {}, "identity");
    assert.equal(Object.hasOwn(request, "decompressMessage"), false);
  });

  it("a request whose stream closes while it waits is not decompressed", async () => {
    const requests = new CompressedRequests();
    const running = make(requests, 8, {});
    const closed = make(requests, 50, {});
    const [last] = make(requests, 1, {});
    for (const request of [...running, ...closed, last!]) request.arrive();
    for (const { stream } of closed) stream.emit("close");
    await running[0]!.finish();
    assert.equal(started(closed), 0);
    assert.equal(last!.hasStarted, true);
  });
});
