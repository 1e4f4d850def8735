/**
 * Gives a public value the form that JSON has no form of its own for: bigints become decimal strings, a map the list of
 * its values.
 *
 * `toJSON` is a property of the object, since one of a prototype would make the object unequal to a literal in
 * `assert.deepStrictEqual`. It is not enumerable: `structuredClone` and spreading pass it over. All objects share one
 * function.
 */
export function withJson<T extends object>(value: T): T {
  return Object.defineProperty(value, "toJSON", TO_JSON);
}

const TO_JSON: PropertyDescriptor = { value: toJSON, enumerable: false, writable: true, configurable: true };

function toJSON(this: object): unknown {
  if (this instanceof Map) return [...this.values()];
  return Object.fromEntries(
    Object.entries(this).map(([key, value]) => [key, typeof value === "bigint" ? value.toString() : value]),
  );
}
