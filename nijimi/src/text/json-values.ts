/** Reading parsed JSON that somebody else wrote: each function returns the value as its type or says what was wrong. */
import { NijimiError } from "../errors.ts";

export type Json = null | boolean | number | string | readonly Json[] | JsonObject;
export interface JsonObject {
  readonly [key: string]: Json | undefined;
}

function fail(what: string, wanted: string, got: unknown): never {
  const shown =
    got === null || got === undefined
      ? "nothing"
      : Array.isArray(got)
        ? "a list"
        : typeof got === "object"
          ? "an object"
          : JSON.stringify(got);
  throw new NijimiError("format", `${what} must be ${wanted}; got ${shown}.`);
}

export function object(json: unknown, what: string): JsonObject {
  return typeof json === "object" && json !== null && !Array.isArray(json)
    ? (json as JsonObject)
    : fail(what, "an object", json);
}

export function array(json: unknown, what: string): readonly Json[] {
  return Array.isArray(json) ? (json as readonly Json[]) : fail(what, "a list", json);
}

export function string(json: unknown, what: string): string {
  return typeof json === "string" ? json : fail(what, "text", json);
}

export function number(json: unknown, what: string): number {
  return typeof json === "number" ? json : fail(what, "a number", json);
}

export function boolean(json: unknown, what: string): boolean {
  return typeof json === "boolean" ? json : fail(what, "true or false", json);
}

/** A whole number from 0 up, such as a token's id. */
export function index(json: unknown, what: string): number {
  return Number.isSafeInteger(json) && (json as number) >= 0
    ? (json as number)
    : fail(what, "a whole number from 0 up", json);
}

/**
 * Parses JSON.
 *
 * @throws NijimiError `format` when it is not JSON
 */
export function parseJson(text: string, what: string): Json {
  try {
    return JSON.parse(text.replace(/^\ufeff/, "")) as Json;
  } catch (cause) {
    throw new NijimiError("format", `${what} is not JSON: ${(cause as Error).message}`, { cause });
  }
}
