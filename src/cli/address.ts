import { isIPv4, isIPv6 } from "node:net";
import { InvalidArgumentError } from "commander";

/** Targets that grpc-js resolves by itself. */
const GRPC_TARGET = /^(?:dns|ipv4|ipv6|unix|unix-abstract):\S+$/;

/**
 * Checks where a server is: `HOST:PORT`, with an IPv6 host in brackets and `http://` or `https://` in front if wanted,
 * or a gRPC target such as `unix:///run/rollcall.sock`.
 *
 * @throws InvalidArgumentError that says what is wrong and what is allowed.
 */
export function parseServerAddress(text: string): string {
  const refuse = (why: string): never => {
    throw new InvalidArgumentError(`${why}; give HOST:PORT, such as 127.0.0.1:50051, [::1]:50051 or https://host:443.`);
  };
  if (text.trim() === "") return refuse("It must not be empty");
  if (/\s/.test(text)) return refuse("It must not hold spaces");
  if (GRPC_TARGET.test(text)) return text;
  const [, scheme, rest = ""] = /^(?:([^:/[\]]*):\/\/)?(.*)$/.exec(text) ?? [];
  if (scheme !== undefined && scheme !== "http" && scheme !== "https") return refuse(`"${scheme}://" is not known`);
  if (/[/?#@]/.test(rest)) return refuse("There must be no path and no user");
  if (isIPv6(rest) || (rest.split(":").length > 2 && !rest.startsWith("["))) {
    return refuse("An IPv6 address must be in brackets, with a port behind it");
  }
  const [, ipv6, host = "", port] = /^(?:\[([^\]]*)\]|([^:[\]]*))(?::(.*))?$/.exec(rest) ?? [];
  if (ipv6 !== undefined ? !isIPv6(ipv6) : host === "" || (/^[\d.]+$/.test(host) && !isIPv4(host))) {
    return refuse("There is no host, or it is not an IP address");
  }
  if (port === undefined) return refuse("The port is missing");
  if (!/^\d{1,5}$/.test(port) || Number(port) < 1 || Number(port) > 65_535) {
    return refuse(`The port "${port}" is not a number from 1 to 65535`);
  }
  return text;
}
