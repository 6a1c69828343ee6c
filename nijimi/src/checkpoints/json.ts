/**
 * JSON (RFC 8259) for files that users bring: stricter than `JSON.parse` where a file could hide
 * something (duplicate keys, endless nesting, `__proto__`), and on request as lenient as Python's
 * `json`, which writes bare `NaN`, `Infinity` and `-Infinity` into model configs.
 *
 * Objects have no prototype, so that a key such as `__proto__` is a key like any other.
 */
import { NijimiError } from "../errors.ts";

/** A parsed JSON value. */
export type JsonValue = string | number | boolean | null | JsonValue[] | JsonObject;

/** A parsed JSON object; it has no prototype. */
export interface JsonObject {
  [key: string]: JsonValue;
}

/** How {@link parseJson} reads. */
export interface JsonOptions {
  /** Accept bare `NaN`, `Infinity` and `-Infinity`, as Python writes them. @default false */
  readonly nonFinite?: boolean;
  /** What a repeated key means: an error, or that the last one wins as in `JSON.parse`. @default "last" */
  readonly duplicateKeys?: "refuse" | "last";
  /** Deepest nesting accepted. @default 128 */
  readonly maxDepth?: number;
  /** What is being read, for messages. @default "JSON" */
  readonly name?: string;
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?/y;
const WORD = /-?[A-Za-z]+/y;
const BLANK = /[ \t\n\r]*/y;
// Escapes and whatever may not stand bare in a string.
const SPECIAL = /["\\\u0000-\u001f]/g;
const ESCAPES: Readonly<Record<string, string>> = {
  '"': '"',
  "\\": "\\",
  "/": "/",
  b: "\b",
  f: "\f",
  n: "\n",
  r: "\r",
  t: "\t",
};

/**
 * Parses a JSON text.
 *
 * @throws NijimiError `format` with the line and column of the first mistake
 * @example
 * parseJson('{"lambda_min_clipped": -Infinity}', { nonFinite: true });
 */
export function parseJson(text: string, options: JsonOptions = {}): JsonValue {
  const { nonFinite = false, duplicateKeys = "last", maxDepth = 128, name = "JSON" } = options;
  const words: Record<string, JsonValue> = {
    __proto__: null,
    true: true,
    false: false,
    null: null,
  };
  if (nonFinite) Object.assign(words, { NaN, Infinity, "-Infinity": -Infinity });
  let at = 0;

  function fail(problem: string): never {
    const before = text.slice(0, at);
    const line = before.split("\n").length;
    const column = at - before.lastIndexOf("\n");
    throw new NijimiError(
      "format",
      `${name} is not valid JSON: ${problem} at line ${line}, column ${column}.`,
    );
  }

  function match(pattern: RegExp): string {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (!found) return "";
    at = pattern.lastIndex;
    return found[0];
  }

  /** The next character that is not blank, which stays unread; "" at the end. */
  function peek(): string {
    match(BLANK);
    return text.charAt(at);
  }

  function expect(character: string): void {
    if (peek() !== character) fail(`expected "${character}"`);
    at++;
  }

  function value(depth: number): JsonValue {
    if (depth > maxDepth) fail(`nested deeper than ${maxDepth} levels`);
    const next = peek();
    if (next === "{") return object(depth);
    if (next === "[") return array(depth);
    if (next === '"') return string();
    return number() ?? word();
  }

  function number(): number | undefined {
    const digits = match(NUMBER);
    return digits === "" ? undefined : Number(digits);
  }

  function word(): JsonValue {
    const start = at;
    const got = match(WORD);
    if (got in words) return words[got];
    at = start;
    return fail(text.length === at ? "the text ends where a value should be" : "expected a value");
  }

  function array(depth: number): JsonValue[] {
    const items: JsonValue[] = [];
    expect("[");
    if (peek() === "]") return (at++, items);
    for (;;) {
      items.push(value(depth + 1));
      if (peek() === "]") return (at++, items);
      expect(",");
    }
  }

  function object(depth: number): JsonObject {
    const members = Object.create(null) as JsonObject;
    expect("{");
    if (peek() === "}") return (at++, members);
    for (;;) {
      if (peek() !== '"') fail("expected a name in quotes");
      const key = string();
      if (duplicateKeys === "refuse" && key in members)
        fail(`the name ${JSON.stringify(key)} is there twice`);
      expect(":");
      members[key] = value(depth + 1);
      if (peek() === "}") return (at++, members);
      expect(",");
    }
  }

  function string(): string {
    at++;
    let result = "";
    for (;;) {
      SPECIAL.lastIndex = at;
      const special = SPECIAL.exec(text);
      if (!special) return fail("a string does not end");
      result += text.slice(at, special.index);
      at = special.index + 1;
      if (special[0] === '"') return result;
      if (special[0] !== "\\") return (at--, fail("a control character in a string"));
      result += escape();
    }
  }

  function escape(): string {
    const letter = text.charAt(at);
    if (letter === "u") {
      const digits = text.slice(at + 1, at + 5);
      if (!/^[0-9a-fA-F]{4}$/.test(digits)) fail("\\u without four hexadecimal digits");
      at += 5;
      return String.fromCharCode(Number.parseInt(digits, 16));
    }
    if (letter === "" || !(letter in ESCAPES)) fail("an unknown escape in a string");
    at++;
    return ESCAPES[letter];
  }

  const result = value(0);
  if (peek() !== "") fail("text after the end of the value");
  return result;
}

/**
 * Parses a JSON text whose top level must be an object, such as a config.
 *
 * @throws NijimiError `format`
 */
export function parseJsonObject(text: string, options: JsonOptions = {}): JsonObject {
  const value = parseJson(text, options);
  if (isJsonObject(value)) return value;
  const got = Array.isArray(value) ? "an array" : JSON.stringify(value);
  throw new NijimiError("format", `${options.name ?? "JSON"} must be a JSON object; got ${got}.`);
}

/** Strings of a valid JSON text; those before a colon are names. */
const STRINGS = /"[^"\\]*(?:\\.[^"\\]*)*"(\s*:)?/g;

/**
 * As {@link parseJson} without repeated names, for large texts: the engine's own parser does the work, and the names it
 * found are counted against those in the text. Objects have the usual prototype: look at their own keys only.
 */
export function parseLargeJson(text: string, { maxDepth = 8, name }: JsonOptions = {}): JsonValue {
  const strictly = () => parseJson(text, { duplicateKeys: "refuse", maxDepth, name });
  let value: JsonValue;
  try {
    value = JSON.parse(text) as JsonValue;
  } catch {
    return strictly();
  }
  return countNames(value, maxDepth) === countNamesIn(text) ? value : strictly();
}

/** Names in all objects of a value; NaN when it is nested too deep. */
function countNames(value: JsonValue, depth: number): number {
  if (typeof value !== "object" || value === null) return 0;
  if (depth < 0) return NaN;
  const items = Array.isArray(value) ? value : Object.values(value);
  let count = Array.isArray(value) ? 0 : items.length;
  for (const item of items) if (typeof item === "object") count += countNames(item, depth - 1);
  return count;
}

function countNamesIn(text: string): number {
  let count = 0;
  STRINGS.lastIndex = 0;
  for (let found = STRINGS.exec(text); found; found = STRINGS.exec(text)) if (found[1]) count++;
  return count;
}

/** True for objects, not for arrays and null. */
export function isJsonObject(value: unknown): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/**
 * JSON text, indented by two spaces and with a final line feed, as Python's `json.dumps` writes it: numbers
 * that are not finite stay, as bare words.
 */
export function formatJson(value: JsonValue): string {
  return `${formatValue(value, "")}\n`;
}

function formatValue(value: JsonValue, indent: string): string {
  if (typeof value === "number") return String(value);
  if (typeof value !== "object" || value === null) return JSON.stringify(value);
  const inner = `${indent}  `;
  const items = Array.isArray(value)
    ? value.map((item) => formatValue(item, inner))
    : Object.entries(value).map(
        ([key, item]) => `${JSON.stringify(key)}: ${formatValue(item, inner)}`,
      );
  const [open, close] = Array.isArray(value) ? "[]" : "{}";
  return items.length === 0
    ? open + close
    : `${open}\n${inner}${items.join(`,\n${inner}`)}\n${indent}${close}`;
}
