/** The callbacks of each signal, with the one listener that calls them all. */
const followed = new WeakMap<AbortSignal, { readonly callbacks: Set<() => void>; readonly listener: () => void }>();

/**
 * Calls `callback` when the signal is aborted. Returns a function that removes the callback.
 *
 * A signal gets one listener, however many callbacks it has: an application may use one signal for many calls at a time,
 * and Node reports more than 10 listeners as a leak.
 */
export function onAbort(signal: AbortSignal, callback: () => void): () => void {
  const { callbacks, listener } = followed.get(signal) ?? follow(signal);
  if (callbacks.size === 0) signal.addEventListener("abort", listener, { once: true });
  callbacks.add(callback);
  return () => {
    if (callbacks.delete(callback) && callbacks.size === 0) signal.removeEventListener("abort", listener);
  };
}

function follow(signal: AbortSignal) {
  const callbacks = new Set<() => void>();
  const listener = (): void => {
    for (const callback of callbacks) callback();
    callbacks.clear();
  };
  followed.set(signal, { callbacks, listener });
  return { callbacks, listener };
}
