import { createServer, type TLSSocket, type Server as TlsServer } from "node:tls";
import type { ClientCertificate } from "../service/caller.js";

/** What a server shows and asks for on TLS connections, as PEM. */
export interface TlsMaterial {
  /** The server's certificate, and the chain up to its authority. */
  readonly cert: string;
  readonly key: string;
  /**
   * The authorities of client certificates, one PEM block each; `undefined`: clients need none. A list, because Node takes
   * an empty string for "not given", which means its own list of public authorities; with an empty list it trusts no certificate.
   */
  readonly clientCa: readonly string[] | undefined;
}

/** How long a client may take to finish its handshake, in ms. */
const HANDSHAKE_MS = 10_000;

const contextOf = ({ cert, key, clientCa }: TlsMaterial) =>
  ({ cert, key, ca: clientCa && [...clientCa], minVersion: "TLSv1.2" }) as const;

/**
 * What makes connections secure: TLS 1.2 or later, and HTTP/2 alone. It does not listen; connections are given to it as
 * its event `connection`. `onSecure`: one is secure, and a client certificate that was asked for is good. `onRefused`: a
 * handshake failed, for plain text, an unknown or expired certificate or an old version of TLS. `now`: ms since 1970.
 */
export function createTlsServer(
  material: TlsMaterial,
  now: () => number,
  onSecure: (socket: TLSSocket) => void,
  onRefused: (error: Error) => void,
): TlsServer {
  const asksForCertificate = material.clientCa !== undefined;
  const server = createServer({
    ...contextOf(material),
    ALPNProtocols: ["h2"],
    requestCert: asksForCertificate,
    rejectUnauthorized: asksForCertificate,
    handshakeTimeout: HANDSHAKE_MS,
  });
  server.on("secureConnection", (socket) => {
    if (!asksForCertificate || isValid(socket, now())) {
      onSecure(socket);
      return;
    }
    socket.destroy();
    onRefused(new Error("the client certificate has expired, or is not valid yet"));
  });
  server.on("tlsClientError", onRefused);
  return server;
}

/**
 * Shows another certificate to new connections, and believes other authorities; those that are open stay. Throws, and
 * changes nothing, if certificate and key do not belong together.
 */
export function renewTls(server: TlsServer, material: TlsMaterial): void {
  server.setSecureContext(contextOf(material));
}

/** Whether the client certificate is within its dates. A resumed TLS session is not verified again by OpenSSL. */
function isValid(socket: TLSSocket, at: number): boolean {
  const { valid_from, valid_to } = socket.getPeerCertificate();
  return Date.parse(valid_from) <= at && at < Date.parse(valid_to);
}

/** The name in the certificate that a client brought, where it is one that was asked for and found good. */
export function certificateOf(socket: TLSSocket): ClientCertificate | undefined {
  if (!socket.authorized) return undefined;
  const { subject, valid_to } = socket.getPeerCertificate();
  // A subject may have several names: then none of them is its name.
  const name: unknown = subject?.CN;
  return typeof name === "string" ? { name, expiresAt: Date.parse(valid_to) } : undefined;
}
