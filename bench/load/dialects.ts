import type { Dialect } from "./dialect.js";
import { PADDING } from "./dialect.js";
import { textFrame } from "./websocket.js";

/** Redis: SUBSCRIBE and PUBLISH. A connection can hear a channel once only. */
export const redis: Dialect = {
  greeting: [{ send: "PING\r\n", until: "+PONG" }],
  readersPerConnection: () => 1,
  subscribe: (channel) => ({ send: `SUBSCRIBE ${channel}\r\n`, until: "subscribe" }),
  change: (channel, stamp) => Buffer.from(`PUBLISH ${channel} ${stamp}${PADDING}\r\n`),
  answerMark: ":".charCodeAt(0),
};

/** NATS core: any number of subscriptions per connection; publishing is answered by the PONG that follows it. */
export const nats: Dialect = {
  greeting: [
    { send: "", until: "INFO" },
    { send: 'CONNECT {"verbose":false,"pedantic":false}\r\nPING\r\n', until: "PONG" },
  ],
  readersPerConnection: (asked) => asked,
  subscribe: (channel, reader) => ({ send: `SUB ${channel} ${reader + 1}\r\nPING\r\n`, until: "PONG" }),
  change: (channel, stamp) => {
    const payload = stamp + PADDING;
    return Buffer.from(`PUB ${channel} ${payload.length}\r\n${payload}\r\n`);
  },
  askForAnswer: Buffer.from("PING\r\n"),
  answerMark: "G".charCodeAt(0),
};

const UPGRADE = [
  "GET /socket.io/?EIO=4&transport=websocket HTTP/1.1",
  "Host: 127.0.0.1",
  "Connection: Upgrade",
  "Upgrade: websocket",
  "Sec-WebSocket-Version: 13",
  "Sec-WebSocket-Key: cm9sbGNhbGwgYmVuY2ghIQ==",
  "",
  "",
].join("\r\n");

/** Socket.IO over WebSocket: one socket, and so one connection, per reader. Changes are acknowledged. */
export const socketIo: Dialect = {
  greeting: [
    { send: UPGRADE, until: '0{"sid"' },
    { send: textFrame("40"), until: '40{"sid"' },
  ],
  readersPerConnection: () => 1,
  subscribe: (channel) => ({ send: textFrame(`420["join","${channel}"]`), until: "!" }),
  change: (channel, stamp) => textFrame(`421["change","${channel}",{"user_id":"m0_0","Mic":"${stamp}"}]`),
  answerMark: "!".charCodeAt(0),
};
