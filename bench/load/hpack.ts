/**
 * The header block of a gRPC request, from the static table and literals that are never indexed: it depends on no
 * state of the connection, so one block serves every call to a method.
 */
export function headerBlock(path: string, authority: string, token?: string): Buffer {
  return Buffer.concat([
    Buffer.from([0x83, 0x86]), // :method POST, :scheme http
    literal(4, path),
    literal(1, authority),
    named("content-type", "application/grpc"),
    named("te", "trailers"),
    ...(token === undefined ? [] : [named("authorization", `Bearer ${token}`)]),
  ]);
}

/** A literal without indexing whose name is an entry (1 to 14) of the static table. */
function literal(nameIndex: number, value: string): Buffer {
  return Buffer.concat([Buffer.from([nameIndex]), text(value)]);
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
