import { isIP } from "node:net";
import { checkServerIdentity } from "node:tls";
import { type ChannelCredentials, type ChannelOptions, credentials } from "@grpc/grpc-js";

/** How to reach an IP address over TLS. */
export interface IpCredentials {
  readonly credentials: ChannelCredentials;
  readonly channelOptions: ChannelOptions;
}

/**
 * TLS for an `https://` address whose host is an IP address; undefined for all others. The certificate must hold the
 * IP address.
 *
 * grpc-js names the host to the server as it is, which TLS allows for names alone: Node warns of it up to 24, and fails
 * from 26 on. So the address is named as reverse look-ups do, in `in-addr.arpa` or `ip6.arpa` (RFC 8738).
 */
export function ipCredentials(address: string): IpCredentials | undefined {
  const host = /^https:\/\/(\[[^\]]+\]|[^:/[\]]+)(?::\d+)?$/.exec(address)?.[1]?.replace(/^\[|\]$/g, "");
  const kind = host === undefined ? 0 : isIP(host);
  if (host === undefined || kind === 0) return undefined;
  return {
    credentials: credentials.createSsl(null, null, null, {
      checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate),
    }),
    channelOptions: { "grpc.ssl_target_name_override": kind === 4 ? reverse4(host) : reverse6(host) },
  };
}

function reverse4(host: string): string {
  return `${host.split(".").reverse().join(".")}.in-addr.arpa`;
}

function reverse6(host: string): string {
  // As a URL it has neither a zone nor an IPv4 address at its end, and one gap at most.
  const [before, after] = new URL(`http://[${host.replace(/%.*$/, "")}]`).hostname.slice(1, -1).split("::");
  const groups = (part: string | undefined): string[] => (part ? part.split(":") : []);
  const [first, last] = [groups(before), groups(after)];
  const all = [...first, ...Array<string>(8 - first.length - last.length).fill("0"), ...last];
  const digits = all.map((group) => group.padStart(4, "0")).join("");
  return `${[...digits].reverse().join(".")}.ip6.arpa`;
}
