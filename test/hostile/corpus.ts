/** Requests that have broken decoders of protobuf, or would break a careless one: the message, as bytes. */
export const MESSAGES: Readonly<Record<string, Buffer>> = {
  "nothing at all": Buffer.alloc(0),
  "a field number of 0": hex("00"),
  "a wire type that there is not": hex("0f"),
  "a tag without a value": hex("08"),
  "a number of more than ten bytes": hex("08 ff ff ff ff ff ff ff ff ff ff 01"),
  "a tag of more than 32 bits": hex("ff ff ff ff ff ff ff ff ff 01 00"),
  "a length beyond the end": hex("0a ff 01 00"),
  "a length of 4 GiB": hex("0a ff ff ff ff 0f"),
  "a negative length": hex("0a ff ff ff ff ff ff ff ff ff 01"),
  "a group that does not end": hex("0b"),
  "the end of a group that did not begin": hex("0c"),
  "a group that ends as another": hex("0b 14"),
  "10,000 groups within each other": Buffer.alloc(10_000, 0x0b),
  "10,000 messages within each other": nested(10_000),
  "text that is no UTF-8": hex("12 02 c3 28"),
  "a NUL in two bytes": hex("12 02 c0 80"),
  "half of a surrogate pair": hex("12 03 ed a0 80"),
  "a user of nothing but NUL": hex("12 01 00"),
  "a kind of channel that there is not": hex("0a 05 08 63 12 01 61"),
  "a channel given twice, the second time without a name": hex("0a 05 08 01 12 01 61 0a 02 08 02"),
  "a state with neither key nor value": hex("0a 05 08 01 12 01 61 1a 00 22 00 2a 00"),
  "an unknown field of 10 KB": Buffer.concat([hex("c2 3e 90 4e"), Buffer.alloc(10_000)]),
};

/** The same below the message: what comes on a call's stream, the five bytes of gRPC's prefix included. */
export const BODIES: Readonly<Record<string, Buffer>> = {
  "not even a prefix": Buffer.alloc(0),
  "half a prefix": hex("00 00 00"),
  "a prefix of 4 GiB": hex("00 ff ff ff ff"),
  "less than the prefix says": hex("00 00 00 00 05 08"),
  "two requests where there is one": hex("00 00 00 00 00 00 00 00 00 00"),
  "compressed, without a word about how": hex("01 00 00 00 02 08 01"),
  "flags that there are not": hex("ff 00 00 00 00"),
};

function hex(bytes: string): Buffer {
  return Buffer.from(bytes.replaceAll(" ", ""), "hex");
}

/** Each message is field 1 of the one around it. */
function nested(depth: number): Buffer {
  const tags: Buffer[] = [];
  for (let i = 0, length = 0; i < depth; i++) {
    const size: number[] = [];
    for (let rest = length; ; rest >>= 7) {
      if (rest < 128) {
        size.push(rest);
        break;
      }
      size.push((rest & 127) | 128);
    }
    tags.unshift(Buffer.from([0x0a, ...size]));
    length += size.length + 1;
  }
  return Buffer.concat(tags);
}
