import type { Piece } from "./ports.js";
import { MAX_CHUNK_BYTES } from "./snapshot.js";

/** Pieces laid side by side. */
export interface Message {
  readonly bytes: Uint8Array;
  /** The index after its last piece, among all pieces that are laid in messages. */
  readonly end: number;
}

/**
 * Lays pieces side by side in as few messages as fit: repeated fields of protobuf concatenate. A message has at most
 * `maxBytes` unless a single piece has more. Pieces are taken as messages are: no more than one ahead.
 */
export function* layOut(pieces: Iterable<Piece>, maxBytes = MAX_CHUNK_BYTES): Generator<Message> {
  let held: Piece[] = [];
  let bytes = 0;
  let end = 0;
  for (const piece of pieces) {
    if (bytes > 0 && bytes + piece.length > maxBytes) {
      yield { bytes: concat(held, bytes), end };
      held = [];
      bytes = 0;
    }
    held.push(piece);
    bytes += piece.length;
    end += 1;
  }
  if (bytes > 0) yield { bytes: concat(held, bytes), end };
}

/** The same for pieces that many readers get. */
export function joinPieces(pieces: readonly Piece[], maxBytes?: number): Message[] {
  return [...layOut(pieces, maxBytes)];
}

/** Lays pieces side by side in one message, whatever its size. */
export function concat(pieces: readonly Piece[], bytes = bytesOf(pieces)): Uint8Array {
  const only = pieces[0]!;
  // Transports want Buffers; wrapped here, it is wrapped once for all readers.
  if (pieces.length === 1) return Buffer.from(only.buffer, only.byteOffset, only.length);
  // Not from Node's pool: a message that waits for a slow reader would hold on to a whole slab of it.
  const message = Buffer.allocUnsafeSlow(bytes);
  let offset = 0;
  for (const piece of pieces) {
    message.set(piece, offset);
    offset += piece.length;
  }
  return message;
}

/** Size of these pieces together, in bytes. */
export function bytesOf(pieces: readonly Piece[]): number {
  return pieces.reduce((bytes, { length }) => bytes + length, 0);
}
