/** Where names are in HPACK's static table. */
const NAME = { authority: 1, path: 4, authorization: 23, contentType: 31 } as const;

/**
 * The header block of a gRPC request, from the static table and literals that are not indexed: it depends on no state of
 * the connection, so one block serves every call to a method. With its token in full each time, as grpc-js and the
 * C core send it; grpc-go refers to the one that it has sent before.
 */
export function headerBlock(path: string, authority: string, token?: string): Buffer {
  return Buffer.concat([
    Buffer.from([0x83, 0x86]), // :method POST, :scheme http
    literal(NAME.path, path),
    literal(NAME.authority, authority),
    literal(NAME.contentType, "application/grpc"),
    named("te", "trailers"),
    ...(token === undefined ? [] : [literal(NAME.authorization, `Bearer ${token}`)]),
  ]);
}

/** A literal without indexing whose name is an entry of the static table, with a prefix of four bits. */
function literal(nameIndex: number, value: string): Buffer {
  const name = nameIndex < 15 ? [nameIndex] : [15, nameIndex - 15];
  return Buffer.concat([Buffer.from(name), text(value)]);
}

function named(name: string, value: string): Buffer {
  return Buffer.concat([Buffer.from([0]), text(name), text(value)]);
}

function text(value: string): Buffer {
  const bytes = Buffer.from(value, "latin1");
  return Buffer.concat([lengthOf(bytes), bytes]);
}

/** An integer with a prefix of seven bits. */
function lengthOf({ length }: Buffer): Buffer {
  if (length < 127) return Buffer.from([length]);
  const rest = length - 127;
  if (rest >= 1 << 14) throw new Error("longer header values are not needed here");
  return Buffer.from(rest < 128 ? [127, rest] : [127, (rest & 0x7f) | 0x80, rest >> 7]);
}
