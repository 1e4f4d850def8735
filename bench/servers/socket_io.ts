import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Server } from "socket.io";
import { serveChild } from "./child.js";

/** Socket.IO: a room per channel, a change is emitted to the room. */
await serveChild(async () => {
  const http = createServer();
  // The bench's readers answer no pings: none may fall due within a run.
  const io = new Server(http, { transports: ["websocket"], pingInterval: 3_600_000, serveClient: false });
  io.on("connection", (socket) => {
    socket.on("join", async (channel: string, done: (mark: string) => void) => {
      await socket.join(channel);
      done("!");
    });
    let revision = 0;
    socket.on("change", (channel: string, states: Record<string, string>, done: (mark: string) => void) => {
      done("!");
      io.to(channel).emit("state_changed", { channel, revision: ++revision, time: Date.now(), states });
    });
  });
  await new Promise<void>((resolve) => http.listen(0, "127.0.0.1", resolve));
  return {
    address: `127.0.0.1:${(http.address() as AddressInfo).port}`,
    close: async () => {
      io.disconnectSockets(true);
      await io.close();
    },
  };
});
