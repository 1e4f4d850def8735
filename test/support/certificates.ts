import { createHash, generateKeyPairSync, type KeyObject, randomBytes, sign } from "node:crypto";

/*
 * X.509 certificates for tests, written by hand: node:crypto reads them and does not make them, and a tool that does is
 * not on every machine.
 */

/** A certificate and its key, as PEM. */
export interface Certificate {
  readonly cert: string;
  readonly key: string;
}

/** An authority that signs certificates. */
export interface Authority extends Certificate {
  /** Signs one for a server on 127.0.0.1 and localhost (or localhost alone), or for a client of this name. */
  issue(commonName: string, options?: { readonly expired?: boolean; readonly namesAlone?: boolean }): Certificate;
}

const DAY_MS = 86_400_000;

function der(tag: number, ...parts: readonly Uint8Array[]): Buffer {
  const body = Buffer.concat(parts);
  const size = body.length < 128 ? [body.length] : [0x82, body.length >> 8, body.length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...size]), body]);
}

const sequence = (...parts: readonly Uint8Array[]): Buffer => der(0x30, ...parts);
const bytes = (hex: string): Buffer => Buffer.from(hex, "hex");
const bits = (value: Uint8Array): Buffer => der(0x03, bytes("00"), value);
const utcTime = (at: number): Buffer =>
  der(0x17, Buffer.from(`${new Date(at).toISOString().replace(/[-:T]/g, "").slice(2, 14)}Z`));

const ECDSA_SHA256 = sequence(bytes("06082a8648ce3d040302"));
const COMMON_NAME = bytes("0603550403");
const IS_AUTHORITY = sequence(bytes("0603551d13"), bytes("0101ff"), der(0x04, sequence(bytes("0101ff"))));
const LOCALHOST = der(0x82, Buffer.from("localhost"));
const alternativeNames = (...names: readonly Uint8Array[]): Buffer =>
  sequence(bytes("0603551d11"), der(0x04, sequence(...names)));
const NAMES = alternativeNames(LOCALHOST);
const NAMES_AND_IP = alternativeNames(der(0x87, Buffer.from([127, 0, 0, 1])), LOCALHOST);

const nameOf = (commonName: string): Buffer =>
  sequence(der(0x31, sequence(COMMON_NAME, der(0x0c, Buffer.from(commonName)))));

interface Wish {
  readonly subject: string;
  readonly issuer: string;
  readonly from: number;
  readonly to: number;
  readonly extension: Buffer;
}

function certify(wish: Wish, publicKey: KeyObject, signingKey: KeyObject): string {
  const serial = der(
    0x02,
    Buffer.concat([bytes("01"), createHash("sha256").update(randomBytes(8)).digest().subarray(0, 8)]),
  );
  const content = sequence(
    der(0xa0, bytes("020102")),
    serial,
    ECDSA_SHA256,
    nameOf(wish.issuer),
    sequence(utcTime(wish.from), utcTime(wish.to)),
    nameOf(wish.subject),
    publicKey.export({ type: "spki", format: "der" }),
    der(0xa3, sequence(wish.extension)),
  );
  const whole = sequence(content, ECDSA_SHA256, bits(sign("sha256", content, signingKey)));
  const lines = whole.toString("base64").replace(/.{64}/g, "$&\n");
  return `-----BEGIN CERTIFICATE-----\n${lines}\n-----END CERTIFICATE-----\n`;
}

const pem = (key: KeyObject): string => key.export({ type: "pkcs8", format: "pem" }) as string;
const newKeys = () => generateKeyPairSync("ec", { namedCurve: "prime256v1" });

/** Makes an authority. */
export function makeAuthority(name = "Authority of tests"): Authority {
  const own = newKeys();
  const now = Date.now();
  const valid = { from: now - DAY_MS, to: now + DAY_MS };
  return {
    cert: certify({ subject: name, issuer: name, ...valid, extension: IS_AUTHORITY }, own.publicKey, own.privateKey),
    key: pem(own.privateKey),
    issue: (commonName, { expired = false, namesAlone = false } = {}) => {
      const keys = newKeys();
      const when = expired ? { from: now - 2 * DAY_MS, to: now - DAY_MS } : valid;
      const wish = { subject: commonName, issuer: name, ...when, extension: namesAlone ? NAMES : NAMES_AND_IP };
      return { cert: certify(wish, keys.publicKey, own.privateKey), key: pem(keys.privateKey) };
    },
  };
}
