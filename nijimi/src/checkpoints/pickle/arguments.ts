/** Reading the arguments of calls in a pickle: a call with others than Python would accept is damage. */
import { NijimiError } from "../../errors.ts";
import { isKind, type PickleValue, type StorageRef } from "./values.ts";

/** The error for a call whose arguments make no sense. */
export function badCall(what: string, problem: string): NijimiError {
  return new NijimiError(
    "format",
    `The pickle calls ${what} with ${problem}; the file is damaged.`,
  );
}

/** A whole number ≥ 0. */
export function asCount(value: PickleValue | undefined, what: string): number {
  if (typeof value === "number" && Number.isSafeInteger(value) && value >= 0) return value;
  throw badCall(what, `${describe(value)} where a whole number ≥ 0 belongs`);
}

/** Most dimensions of an array; torch and NumPy allow 64. */
const MAX_DIMENSIONS = 64;

/** A tuple or list of sizes or strides: whole numbers ≥ 0, one for each dimension. */
export function asCounts(value: PickleValue | undefined, what: string): number[] {
  const items = asItems(value, what);
  if (items.length > MAX_DIMENSIONS) throw badCall(what, `${items.length} dimensions`);
  return items.map((item) => asCount(item, what));
}

/** The items of a tuple or list. */
export function asItems(value: PickleValue | undefined, what: string): readonly PickleValue[] {
  if (Array.isArray(value)) return value;
  if (isKind(value, "tuple") || isKind(value, "set")) return value.items;
  throw badCall(what, `${describe(value)} where a tuple belongs`);
}

export function asText(value: PickleValue | undefined, what: string): string {
  if (typeof value === "string") return value;
  throw badCall(what, `${describe(value)} where text belongs`);
}

export function asStorage(value: PickleValue | undefined, what: string): StorageRef {
  if (isKind(value, "storage")) return value;
  throw badCall(what, `${describe(value)} where a storage belongs`);
}

/** Bytes; text of a Python 2 pickle is bytes as well. */
export function asBytes(value: PickleValue | undefined, what: string): Uint8Array {
  if (value instanceof Uint8Array) return value;
  if (typeof value === "string") return new TextEncoder().encode(value);
  throw badCall(what, `${describe(value)} where bytes belong`);
}

/** A few words for a message. */
export function describe(value: PickleValue | undefined): string {
  if (value === undefined) return "nothing";
  if (Array.isArray(value)) return "a list";
  if (value instanceof Map) return "a dict";
  if (value instanceof Uint8Array) return "bytes";
  if (typeof value === "object" && value !== null) return `a ${value.kind}`;
  const text = String(value);
  return text.length > 40 ? `${text.slice(0, 40)}…` : text;
}
