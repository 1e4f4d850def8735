/**
 * Checks one argument: returns the value to use, a copy where the caller could change it later.
 *
 * @throws TypeError that names the argument and says what is allowed.
 */
export type Check<T> = (value: unknown, name: string) => T;

/** A check for each property of an object: a property without one does not compile. */
export type Checks<T> = { readonly [Key in keyof Required<T>]: Check<T[Key]> };

/** A string that UTF-8 can hold: without lone surrogates, which the encoder would replace. */
export const text: Check<string> = (value, name) => {
  if (typeof value !== "string") refuse(name, "a string", value);
  if (!value.isWellFormed()) refuse(name, "well-formed Unicode, without lone surrogates", value);
  return value;
};

/** A string that an HTTP/2 header can hold. The message does not show the value, which may be a secret. */
export const headerValue: Check<string> = (value, name) => {
  if (typeof value !== "string") refuse(name, "a string", value);
  if (!/^[ -~]*$/.test(value)) throw new TypeError(`${name} must hold printable ASCII characters only`);
  return value;
};

/** `true` or `false`, and nothing that only counts as such. */
export const flag: Check<boolean> = (value, name) =>
  typeof value === "boolean" ? value : refuse(name, "a boolean", value);

/** A revision: 64 bits without a sign. */
export const revision: Check<bigint> = (value, name) =>
  typeof value === "bigint" && value >= 0n && value < 2n ** 64n
    ? value
    : refuse(name, "a bigint from 0n to 2n ** 64n - 1n", value);

/** A whole number within bounds. */
export function wholeNumber(min: number, max: number): Check<number> {
  return (value, name) =>
    Number.isInteger(value) && (value as number) >= min && (value as number) <= max
      ? (value as number)
      : refuse(name, `a whole number from ${min} to ${max}`, value);
}

/** A time in milliseconds within bounds, rounded to a whole number. */
export function milliseconds(min: number, max: number): Check<number> {
  const bounds = max === Number.POSITIVE_INFINITY ? `${min} or more` : `from ${min} to ${max}`;
  return (value, name) => {
    const rounded = typeof value === "number" ? Math.round(value) : Number.NaN;
    if (!(rounded >= min && rounded <= max)) refuse(name, `a number of milliseconds, ${bounds}`, value);
    return rounded;
  };
}

/** One of a few strings. */
export function oneOf<T extends string>(...choices: readonly T[]): Check<T> {
  const allowed = choices.map((choice) => JSON.stringify(choice)).join(" or ");
  return (value, name) => (choices.includes(value as T) ? (value as T) : refuse(name, allowed, value));
}

/** A function. What it returns is not checked. */
export function callback<F>(): Check<F> {
  return (value, name) => (typeof value === "function" ? (value as F) : refuse(name, "a function", value));
}

/** An object of a class. */
export function instanceOf<T>(type: abstract new (...args: never) => T, described: string): Check<T> {
  return (value, name) => (value instanceof type ? value : refuse(name, described, value));
}

/** The signal of an AbortController, not the controller. */
export const abortSignal = instanceOf(AbortSignal, "an AbortSignal");

/** The same, or undefined. Null is refused. */
export function optional<T>(check: Check<T>): Check<T | undefined> {
  return (value, name) => (value === undefined ? undefined : check(value, name));
}

/** An array. Other iterables are refused: a string is one. */
export function listOf<T>(check: Check<T>): Check<T[]> {
  return (value, name) => {
    if (!Array.isArray(value)) refuse(name, "an array", value);
    return Array.from(value, (item, i) => check(item, `${name}[${i}]`));
  };
}

/** A plain object whose own keys and values are strings. Keys such as `__proto__` are allowed. */
export const pairs: Check<Record<string, string>> = (value, name) => {
  const copy = { ...plainObject(value, name) };
  for (const key of Object.keys(copy)) {
    if (!key.isWellFormed()) text(key, `${name}: each key`);
    const held = copy[key];
    // The name of a pair is made for the error alone: states are set often.
    if (typeof held !== "string" || !held.isWellFormed()) text(held, nameOfPair(name, key));
  }
  return copy as Record<string, string>;
};

/** A plain object with these properties and no others. */
export function options<T>(checks: Checks<T>): Check<T> {
  const read = fields(checks);
  return (value, name) => {
    const unknown = Object.keys(plainObject(value, name)).find((key) => !Object.hasOwn(checks, key));
    if (unknown === undefined) return read(value, name);
    throw new TypeError(`${nameOfPair(name, unknown)} is not known; allowed are ${Object.keys(checks).join(", ")}`);
  };
}

/** An object that has these properties, and maybe others. */
export function fields<T>(checks: Checks<T>): Check<T> {
  const keys = Object.keys(checks) as (keyof T & string)[];
  return (value, name) => {
    if (typeof value !== "object" || value === null || Array.isArray(value)) refuse(name, "an object", value);
    const read: Partial<T> = {};
    for (const key of keys) read[key] = checks[key]((value as T)[key], `${name}.${key}`);
    return read as T;
  };
}

/** Throws the error for a value that is not allowed. */
export function refuse(name: string, allowed: string, value: unknown): never {
  throw new TypeError(`${name} must be ${allowed}, got ${described(value)}`);
}

/** An object as a literal makes it, in this or another realm: not of a class, and not derived from another object. */
export function plainObject(value: unknown, name: string): Readonly<Record<string, unknown>> {
  const prototype: unknown = typeof value === "object" && value !== null ? Object.getPrototypeOf(value) : undefined;
  const isPlain = prototype === null || (prototype !== undefined && Object.getPrototypeOf(prototype) === null);
  return isPlain ? (value as Record<string, unknown>) : refuse(name, "a plain object", value);
}

function nameOfPair(name: string, key: string): string {
  return /^[A-Za-z_$][\w$]{0,39}$/.test(key) ? `${name}.${key}` : `${name}[${quoted(key)}]`;
}

function described(value: unknown): string {
  switch (typeof value) {
    case "string":
      return quoted(value);
    case "bigint":
      return `${value}n`;
    case "symbol":
      return "a symbol";
    case "function":
      return "a function";
    case "object":
      return value === null ? "null" : describedObject(value);
    default:
      return String(value);
  }
}

function describedObject(value: object): string {
  if (Array.isArray(value)) return "an array";
  const name: unknown = Object.getPrototypeOf(value)?.constructor?.name;
  return typeof name !== "string" || name === "" || name === "Object" ? "an object" : `an object of class ${name}`;
}

/** In quotes, escaped as in JSON, and not longer than a message should be. */
function quoted(value: string): string {
  return JSON.stringify(value.length > 40 ? `${value.slice(0, 40)}…` : value);
}
