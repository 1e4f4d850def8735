import assert from "node:assert/strict";
import { EventEmitter } from "node:events";
import { type ServerWritableStream, type ServiceError, status } from "@grpc/grpc-js";
import { OpenStreams } from "../../../src/rpc/open_streams.js";

class Call extends EventEmitter {
  error: ServiceError | undefined;

  constructor(private readonly peer: string) {
    super();
    this.on("error", (error: ServiceError) => {
      this.error = error;
    });
  }

  getPeer(): string {
    return this.peer;
  }
}

describe("open streams of a method without a token", () => {
  let streams: OpenStreams;

  beforeEach(() => {
    streams = new OpenStreams({ method: "Health/Watch", perConnection: 3, inAll: 5 });
  });

  function open(peer: string): { readonly call: Call; readonly isOpen: boolean } {
    const call = new Call(peer);
    const isOpen = streams.admit(call as unknown as ServerWritableStream<Buffer, Buffer>);
    assert.equal(call.error === undefined, isOpen);
    return { call, isOpen };
  }

  it("are bounded per connection", () => {
    const [first] = [open("a"), open("a"), open("a")];
    const { call, isOpen } = open("a");
    assert.equal(isOpen, false);
    assert.equal(call.error?.code, status.RESOURCE_EXHAUSTED);
    assert.equal(call.error?.details, "at most 3 Health/Watch streams per connection");
    first!.call.emit("cancelled");
    assert.equal(open("a").isOpen, true);
    assert.equal(open("a").isOpen, false);
  });

  it("are bounded in all, except that a connection without one may open one", () => {
    for (const peer of ["a", "a", "a", "b", "b"]) assert.equal(open(peer).isOpen, true);
    const { call, isOpen } = open("b");
    assert.equal(isOpen, false);
    assert.equal(call.error?.details, "5 Health/Watch streams are open; until some end, at most 1 per connection");
    assert.equal(open("c").isOpen, true);
    assert.equal(open("c").isOpen, false);
  });

  it("are not counted once they have ended", () => {
    const calls = ["a", "a", "a", "b", "b"].map((peer) => open(peer).call);
    for (const call of calls) call.emit("cancelled");
    for (const peer of ["a", "a", "a", "b", "b"]) assert.equal(open(peer).isOpen, true);
  });
});
