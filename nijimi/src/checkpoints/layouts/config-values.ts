/** Typed reading of configs that users bring, with errors that name the key, what it holds and what it should. */
import { NijimiError } from "../../errors.ts";
import type { JsonObject, JsonValue } from "../json.ts";

function refuse(key: string, expected: string, got: JsonValue | undefined): NijimiError {
  return new NijimiError(
    "checkpoint",
    `Config value "${key}" must be ${expected}; got ${JSON.stringify(got) ?? "nothing"}.`,
  );
}

/** A whole number ≥ `least`; `fallback` where the key is absent or null. */
export function whole(config: JsonObject, key: string, fallback?: number, least = 1): number {
  const value = config[key] ?? fallback;
  if (Number.isSafeInteger(value) && (value as number) >= least) return value as number;
  throw refuse(key, `a whole number ≥ ${least}`, config[key]);
}

/** A list of `count` whole numbers ≥ 1, or one that stands for all. */
export function wholes(
  config: JsonObject,
  key: string,
  count: number,
  fallback?: number,
): readonly number[] {
  const value = config[key] ?? fallback;
  const list = Array.isArray(value) ? value : Array.from({ length: count }, () => value);
  if (
    list.length === count &&
    list.every((item) => Number.isSafeInteger(item) && (item as number) >= 1)
  )
    return list as number[];
  throw refuse(key, `a whole number ≥ 1 or a list of ${count} of them`, config[key]);
}

/** A list of names, whatever they are. */
export function texts(config: JsonObject, key: string): readonly string[] {
  const value = config[key];
  if (Array.isArray(value) && value.length > 0 && value.every((item) => typeof item === "string"))
    return value as string[];
  throw refuse(key, "a list of names", value);
}
