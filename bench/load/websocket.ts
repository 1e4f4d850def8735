/**
 * A masked WebSocket text frame, as a client must send it. The mask is all zeros, which the protocol allows and which
 * saves the work.
 */
export function textFrame(text: string): Buffer {
  const payload = Buffer.from(text);
  const short = payload.length < 126;
  const frame = Buffer.alloc((short ? 2 : 4) + 4 + payload.length);
  frame[0] = 0x81;
  if (short) {
    frame[1] = 0x80 | payload.length;
  } else {
    frame[1] = 0x80 | 126;
    frame.writeUInt16BE(payload.length, 2);
  }
  payload.copy(frame, frame.length - payload.length);
  return frame;
}
