import type { EventEmitter } from "node:events";

/** How long a test waits for something that should come, in milliseconds. Below mocha's own limit of 10 s, whose message names nothing. */
export const PATIENCE_MS = 5000;

/** A promise that somebody else settles. */
export interface Deferred<T> {
  readonly promise: Promise<T>;
  /** Settles the promise; the first `resolve` or `reject` counts. */
  resolve(value: T): void;
  reject(reason: unknown): void;
  /** Whether it is settled. */
  readonly settled: boolean;
}

/** A new deferred promise. A rejection that nobody waits for is no unhandled one. */
export function deferred<T = void>(): Deferred<T> {
  const { promise, resolve, reject } = withResolvers<T>();
  let settled = false;
  promise.catch(() => undefined);
  return {
    promise,
    get settled() {
      return settled;
    },
    resolve(value) {
      settled = true;
      resolve(value);
    },
    reject(reason) {
      settled = true;
      reject(reason);
    },
  };
}

/**
 * The promise, or an error that names what did not come within `patienceMs` (default PATIENCE_MS). It only ends a wait
 * that would never end; no test depends on how long it is.
 */
export async function within<T>(what: string, promise: Promise<T>, patienceMs: number = PATIENCE_MS): Promise<T> {
  const late = deferred<never>();
  const timeout = setTimeout(() => late.reject(new Error(`waited ${patienceMs} ms for ${what}`)), patienceMs);
  try {
    return await Promise.race([promise, late.promise]);
  } finally {
    clearTimeout(timeout);
  }
}

/**
 * The arguments of an emitter's next event of that name. Listens from the moment of the call, so call it before
 * whatever brings the event. Rejects when the emitter has an `error` first, or when nothing comes in time.
 */
export function nextEvent<Args extends unknown[] = unknown[]>(
  emitter: EventEmitter,
  name: string,
  patienceMs: number = PATIENCE_MS,
): Promise<Args> {
  const next = deferred<Args>();
  const heard = (...args: unknown[]) => next.resolve(args as Args);
  const failed = (error: unknown) => next.reject(error);
  emitter.once(name, heard);
  emitter.once("error", failed);
  return within(`the event ${name}`, next.promise, patienceMs).finally(() => {
    emitter.off(name, heard);
    emitter.off("error", failed);
  });
}

function withResolvers<T>() {
  let resolve!: (value: T | PromiseLike<T>) => void;
  let reject!: (reason: unknown) => void;
  const promise = new Promise<T>((onValue, onReason) => {
    resolve = onValue;
    reject = onReason;
  });
  return { promise, resolve, reject };
}
