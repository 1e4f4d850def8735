import { constants, createServer, type ServerHttp2Stream } from "node:http2";
import type { AddressInfo } from "node:net";
import { PATH } from "../load/calls.js";
import { type Running, serveChild } from "./child.js";
import { ReadyEvents, wishOf } from "./ready_event.js";

/**
 * The floor: a bare `node:http2` server that answers a call with as little as gRPC allows and writes ready bytes to
 * the channel's streams. `join` says how many events go into one write: it waits for that many, which no real server
 * could, and so does without any work of its own. `snapshot` is how many bytes follow the greeting of a stream, in
 * ready chunks, each as soon as the stream has taken the last.
 */
async function start({ join = 1, snapshot = 0 }: { join?: number; snapshot?: number }): Promise<Running> {
  const channels = new Map<string, FloorChannel>();
  const chunks = readyChunks(snapshot);
  const server = createServer({ maxSessionMemory: Number.MAX_SAFE_INTEGER });
  server.on("stream", (stream, headers) => {
    stream.on("error", () => stream.destroy());
    const parts: Buffer[] = [];
    stream.on("data", (part: Buffer) => parts.push(part));
    stream.on("end", () => {
      const request = (parts.length === 1 ? parts[0]! : Buffer.concat(parts)).subarray(5);
      if (headers[":path"] === PATH.subscribe) subscribe(stream, request);
      else change(stream, request);
    });
  });

  function channelFor(name: string): FloorChannel {
    let channel = channels.get(name);
    if (channel === undefined) {
      channel = { events: new ReadyEvents(name), readers: new Set(), waiting: [] };
      channels.set(name, channel);
    }
    return channel;
  }

  function subscribe(stream: ServerHttp2Stream, request: Buffer): void {
    const wish = wishOf(request, true);
    const channel = channelFor(wish.channel);
    stream.respond({ ":status": 200, "content-type": "application/grpc" });
    stream.write(framed(channel.events.greeting()));
    sendSnapshot(stream, chunks);
    if (!wish.hears) return;
    channel.readers.add(stream);
    stream.on("close", () => channel.readers.delete(stream));
  }

  function change(stream: ServerHttp2Stream, request: Buffer): void {
    stream.respond({ ":status": 200, "content-type": "application/grpc" }, { waitForTrailers: true });
    stream.on("wantTrailers", () => stream.sendTrailers({ "grpc-status": "0" }));
    stream.end(EMPTY_MESSAGE);
    const channel = channelFor(wishOf(request, false).channel);
    if (channel.readers.size === 0) return;
    channel.waiting.push(framed(channel.events.next(request)));
    if (channel.waiting.length < join) return;
    const bytes = channel.waiting.length === 1 ? channel.waiting[0]! : Buffer.concat(channel.waiting);
    channel.waiting = [];
    for (const reader of channel.readers) reader.write(bytes);
  }

  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const sessions = new Set<{ destroy(error?: Error, code?: number): void }>();
  server.on("session", (session) => sessions.add(session));
  return {
    address: `127.0.0.1:${(server.address() as AddressInfo).port}`,
    close: () => {
      for (const session of sessions) session.destroy(undefined, constants.NGHTTP2_NO_ERROR);
      server.close();
    },
  };
}

interface FloorChannel {
  events: ReadyEvents;
  readers: Set<ServerHttp2Stream>;
  waiting: Buffer[];
}

const CHUNK_BYTES = 256 * 1024;

/** A snapshot's bytes, which are as many as there are: one chunk again and again would come from the processor's cache. */
function readyChunks(bytes: number): readonly Buffer[] {
  return Array.from({ length: Math.ceil(bytes / CHUNK_BYTES) }, (_, i) => framed(Buffer.alloc(CHUNK_BYTES, i + 1)));
}

function sendSnapshot(stream: ServerHttp2Stream, chunks: readonly Buffer[]): void {
  let next = 0;
  const goOn = () => {
    while (next < chunks.length && !stream.destroyed) {
      if (!stream.write(chunks[next++])) return;
    }
  };
  stream.on("drain", goOn);
  goOn();
}

const EMPTY_MESSAGE = Buffer.alloc(5);

function framed(message: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(5 + message.length);
  frame[0] = 0;
  frame.writeUInt32BE(message.length, 1);
  message.copy(frame, 5);
  return frame;
}

await serveChild(start);
