import type { Socket } from "node:net";
import { createServer, type TLSSocket, type Server as TlsServer } from "node:tls";
import type { ClientCertificate } from "../service/caller.js";

/** What a server shows and asks for on TLS connections, as PEM. */
export interface TlsMaterial {
  /** The server's certificate, and the chain up to its authority. */
  readonly cert: string;
  readonly key: string;
  /** The authorities of client certificates; `undefined`: clients need none. */
  readonly clientCa: string | undefined;
}

/** How long a client may take to finish its handshake, in ms. */
const HANDSHAKE_MS = 10_000;

const contextOf = ({ cert, key, clientCa }: TlsMaterial) =>
  ({ cert, key, ca: clientCa, minVersion: "TLSv1.2" }) as const;

/** What becomes of the connections of a TLS server. */
export interface TlsListeners {
  /** A connection is there, and has shown nothing yet. */
  readonly onRaw: (socket: Socket) => void;
  /** A connection is secure; a client certificate that was asked for is good. */
  readonly onSecure: (socket: TLSSocket) => void;
  /** A handshake failed: plain text, an unknown or expired certificate, an old version of TLS. */
  readonly onRefused: (error: Error) => void;
}

/** A server of TLS 1.2 or later that speaks HTTP/2 alone. It does not listen yet. */
export function createTlsServer(material: TlsMaterial, { onRaw, onSecure, onRefused }: TlsListeners): TlsServer {
  const asksForCertificate = material.clientCa !== undefined;
  const server = createServer({
    ...contextOf(material),
    ALPNProtocols: ["h2"],
    requestCert: asksForCertificate,
    rejectUnauthorized: asksForCertificate,
    handshakeTimeout: HANDSHAKE_MS,
    noDelay: true,
  });
  server.on("connection", onRaw);
  server.on("secureConnection", onSecure);
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

/** The name in the certificate that a client brought, where it is one that was asked for and found good. */
export function certificateOf(socket: TLSSocket): ClientCertificate | undefined {
  if (!socket.authorized) return undefined;
  const { subject, valid_to } = socket.getPeerCertificate();
  // A subject may have several names: then none of them is its name.
  const name: unknown = subject?.CN;
  return typeof name === "string" ? { name, expiresAt: Date.parse(valid_to) } : undefined;
}
