import type { MaybePromise } from "../engine/engine.js";

/**
 * What to make of an answer that may be there already: now, if it is, without a promise for it. Whoever asks a thousand
 * times pays for a thousand promises otherwise.
 */
export function andThen<T, R>(answer: MaybePromise<T>, use: (value: T) => MaybePromise<R>): MaybePromise<R> {
  return answer instanceof Promise ? answer.then(use) : use(answer);
}

/** All of these answers, in their order: now, if each is there already. Fails as the first one does that fails. */
export function allOf<T>(answers: readonly MaybePromise<T>[]): MaybePromise<readonly T[]> {
  return answers.some((answer) => answer instanceof Promise) ? Promise.all(answers) : (answers as readonly T[]);
}
