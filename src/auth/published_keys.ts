import { createHash, createPublicKey, KeyObject, type webcrypto } from "node:crypto";
import { createLocalJWKSet, errors, type JSONWebKeySet, type JWTVerifyGetKey } from "jose";

/** Where an issuer publishes its public keys (JWKS), and how often it is asked. */
export interface PublishedKeysOptions {
  readonly url: string;
  /** The keys are asked for again when they are this old, in ms. Default 600000. */
  readonly maxAgeMs: number;
  /** A key that is not known is asked for no sooner than this after the last time, in ms. Default 30000. */
  readonly cooldownMs: number;
  /** After a failure nothing is asked for within this time, in ms: made-up tokens must not cause requests. Default 1000. */
  readonly retryMs: number;
  /** Milliseconds of a clock that only goes forward. */
  readonly tick: () => number;
  /** Asking failed; `why` is for a log. */
  readonly onFailure: (why: string) => void;
  /** Other keys are published than before. */
  readonly onChange: () => void;
}

/** The keys of an issuer are not available. */
export class PublishedKeysError extends Error {
  override readonly name = "PublishedKeysError";
}

/** How long an answer may take, in ms. */
const TIMEOUT_MS = 5000;

/** The keys are asked for no more often than this without a token that needs it, in ms. */
const MIN_POLL_MS = 1000;

/** How long the last keys are good for while their issuer does not answer, in ms. */
const STALE_MS = 60 * 60 * 1000;

/** One answer of the issuer. */
interface KeySet {
  readonly text: string;
  readonly find: JWTVerifyGetKey;
  /** The ids of its keys. */
  readonly ids: ReadonlySet<string>;
}

/**
 * The keys that an issuer publishes. From the first token on they are asked for again each time that they are as old as
 * they may be, whether or not a token comes, so that a key that is withdrawn is noticed.
 */
export class PublishedKeys {
  #set: KeySet | undefined;
  #version = 0;
  /** When the issuer last answered, was last asked and last failed; ticks. */
  #answeredAt = Number.NEGATIVE_INFINITY;
  #askedAt = Number.NEGATIVE_INFINITY;
  #failedAt = Number.NEGATIVE_INFINITY;
  #asking: Promise<void> | undefined;
  #timer: NodeJS.Timeout | undefined;
  #isClosed = false;
  readonly #ids = new WeakMap<object, string>();

  constructor(private readonly options: PublishedKeysOptions) {}

  /**
   * A number that grows when the keys change. `undefined`: there are none, or none that are good any more, as their issuer
   * has not answered for an hour.
   */
  get version(): number | undefined {
    return this.options.tick() - this.#answeredAt <= STALE_MS ? this.#version : undefined;
  }

  /** Finds the key of a token; rejects with an error of `jose`, or with a PublishedKeysError. */
  readonly find: JWTVerifyGetKey = async (header, token) => {
    const { maxAgeMs, cooldownMs } = this.options;
    if (this.options.tick() - this.#answeredAt >= maxAgeMs) await this.#ask();
    try {
      return await this.#current().find(header, token);
    } catch (error) {
      if (!(error instanceof errors.JWKSNoMatchingKey) || this.options.tick() - this.#askedAt < cooldownMs) throw error;
      await this.#ask();
      return this.#current().find(header, token);
    }
  };

  /** What a key that `find` found is recognised by later. */
  idOf(key: object): string {
    let id = this.#ids.get(key);
    if (id === undefined) {
      id = idOf(key instanceof KeyObject ? key : KeyObject.from(key as webcrypto.CryptoKey));
      this.#ids.set(key, id);
    }
    return id;
  }

  /** Whether the key of this id is among those that were published last. */
  isPublished(id: string): boolean {
    return this.#set?.ids.has(id) ?? false;
  }

  /** Stops asking. */
  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#timer);
  }

  #current(): KeySet {
    if (!this.#set || this.version === undefined) throw new PublishedKeysError("the issuer has not answered");
    return this.#set;
  }

  #ask(): Promise<void> {
    if (this.options.tick() - this.#failedAt < this.options.retryMs) return Promise.resolve();
    this.#asking ??= this.#fetch().finally(() => {
      this.#asking = undefined;
    });
    return this.#asking;
  }

  /** Never rejects: while asking fails, the last keys stand. */
  async #fetch(): Promise<void> {
    const { url, maxAgeMs, cooldownMs, retryMs, onFailure } = this.options;
    this.#askedAt = this.options.tick();
    let nextMs = maxAgeMs;
    try {
      this.#take(await fetchText(url));
    } catch (error) {
      this.#failedAt = this.options.tick();
      nextMs = Math.min(maxAgeMs, Math.max(cooldownMs, retryMs));
      onFailure((error as Error).message);
    }
    clearTimeout(this.#timer);
    if (!this.#isClosed) this.#timer = setTimeout(() => this.#ask(), Math.max(nextMs, MIN_POLL_MS)).unref();
  }

  #take(text: string): void {
    const before = this.#set;
    if (text !== before?.text) {
      this.#set = keySetIn(text);
      this.#version++;
    }
    this.#answeredAt = this.options.tick();
    if (before && before !== this.#set) this.options.onChange();
  }
}

function keySetIn(text: string): KeySet {
  try {
    const json = JSON.parse(text) as JSONWebKeySet;
    return { text, find: createLocalJWKSet(json), ids: new Set(json.keys.flatMap(idsOf)) };
  } catch {
    throw new PublishedKeysError("the answer is not a key set");
  }
}

/** A key set may hold keys of kinds that tokens are not signed with. */
function idsOf(jwk: object): string[] {
  try {
    return [idOf(createPublicKey({ key: jwk as Record<string, unknown>, format: "jwk" }))];
  } catch {
    return [];
  }
}

function idOf(key: KeyObject): string {
  return createHash("sha256")
    .update(key.export({ type: "spki", format: "der" }))
    .digest("base64url");
}

async function fetchText(url: string): Promise<string> {
  const response = await fetch(url, {
    redirect: "manual",
    signal: AbortSignal.timeout(TIMEOUT_MS),
    headers: { accept: "application/json, application/jwk-set+json" },
  });
  const text = await response.text();
  if (response.status !== 200) throw new PublishedKeysError(`the answer has status ${response.status}`);
  return text;
}
