import { describe, expect, it } from "vitest";
import { formatJson, parseJson, parseJsonObject, type JsonValue } from "./json.ts";

const TEXTS = [
  "0",
  "-0.5e-3",
  '"a\\u00e9\\n\\"\\\\\\/"',
  "[]",
  " [1, [2, {}], null, true, false] ",
  '{"a": {"b": [1e10, "x"]}, "": 1}',
  '"\\ud83d\\ude00"',
];

const MISTAKES = [
  "",
  "{",
  "[1,]",
  '{"a":1,}',
  "{'a':1}",
  "01",
  "1.",
  ".5",
  "+1",
  "nul",
  '"a',
  '"a\nb"',
  '"\\x"',
  '"\\u12g4"',
  "1 2",
  "NaN",
  '{"a" 1}',
  "\ufeff1",
];

describe("parseJson", () => {
  it.each(TEXTS)("reads %s as JSON.parse does", (text) => {
    expect(parseJson(text)).toEqual(JSON.parse(text));
  });

  it.each(MISTAKES)("refuses %j as JSON.parse does", (text) => {
    expect(() => JSON.parse(text)).toThrow(SyntaxError);
    expect(() => parseJson(text)).toThrow(expect.objectContaining({ code: "format" }));
  });

  it("reads Python's bare numbers when asked to", () => {
    const text = '{"a": -Infinity, "b": [NaN, Infinity]}';
    expect(parseJson(text, { nonFinite: true })).toEqual({ a: -Infinity, b: [NaN, Infinity] });
    expect(() => parseJson(text)).toThrow("line 1, column 7");
  });

  it("takes __proto__ for a name", () => {
    const value = parseJsonObject('{"__proto__": {"polluted": 1}, "constructor": 2}');
    expect(Object.keys(value)).toEqual(["__proto__", "constructor"]);
    expect(({} as { polluted?: number }).polluted).toBeUndefined();
  });

  it("refuses a name that is there twice only when asked to", () => {
    expect(parseJson('{"a": 1, "a": 2}')).toEqual({ a: 2 });
    expect(() => parseJson('{"a": 1, "a": 2}', { duplicateKeys: "refuse" })).toThrow(
      '"a" is there twice',
    );
  });

  it("refuses endless nesting without exhausting the stack", () => {
    expect(() => parseJson("[".repeat(1e6))).toThrow("nested deeper than 128 levels");
  });

  it("says where the mistake is", () => {
    expect(() => parseJson('{\n  "a": x\n}', { name: "config.json" })).toThrow(
      "config.json is not valid JSON: expected a value at line 2, column 8.",
    );
  });
});

describe("formatJson", () => {
  const value: JsonValue = {
    a: [1, { b: "x\n" }],
    empty: [],
    none: {},
    n: null,
    t: true,
    s: -Infinity,
  };

  it("gives text that parseJson reads back", () => {
    expect(parseJson(formatJson(value), { nonFinite: true })).toEqual(value);
  });

  it("indents as JSON.stringify does", () => {
    const finite = { ...value, s: 1.5 };
    expect(formatJson(finite)).toBe(`${JSON.stringify(finite, null, 2)}\n`);
  });
});
