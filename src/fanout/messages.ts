import type { Piece } from "./ports.js";
import { MAX_CHUNK_BYTES } from "./snapshot.js";

/**
 * Lays pieces side by side in as few messages as fit: repeated fields of protobuf concatenate. A message is no larger
 * than 256 KiB unless a single piece is.
 */
export function joinPieces(pieces: readonly Piece[]): Uint8Array[] {
  const messages: Uint8Array[] = [];
  let from = 0;
  let bytes = 0;
  for (let index = 0; index < pieces.length; index++) {
    const { length } = pieces[index]!;
    if (bytes > 0 && bytes + length > MAX_CHUNK_BYTES) {
      messages.push(concat(pieces, from, index, bytes));
      from = index;
      bytes = 0;
    }
    bytes += length;
  }
  if (bytes > 0) messages.push(concat(pieces, from, pieces.length, bytes));
  return messages;
}

/** Lays pieces side by side in one message, whatever its size. */
export function concat(pieces: readonly Piece[], from = 0, to = pieces.length, bytes = lengthOf(pieces)): Uint8Array {
  const only = pieces[from]!;
  // Transports want Buffers; wrapped here, it is wrapped once for all readers.
  if (to - from === 1) return Buffer.from(only.buffer, only.byteOffset, only.length);
  // Not from Node's pool: a message that waits for a slow reader would hold on to a whole slab of it.
  const message = Buffer.allocUnsafeSlow(bytes);
  let offset = 0;
  for (let index = from; index < to; index++) {
    const piece = pieces[index]!;
    message.set(piece, offset);
    offset += piece.length;
  }
  return message;
}

function lengthOf(pieces: readonly Piece[]): number {
  return pieces.reduce((bytes, { length }) => bytes + length, 0);
}
