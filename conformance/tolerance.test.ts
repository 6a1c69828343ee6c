import { describe, expect, test } from "vitest";
import { float32, int64, tensor } from "nijimi/tensor";
import { compareTensors } from "./compare.ts";
import { parseLenientJson } from "./lenient-json.ts";
import { matchesGlob, ruleFor } from "./tolerance.ts";

const base = { atol: 1e-3, rtol: 2e-3 };

describe("ruleFor", () => {
  test("is exact where nothing is stated", () => {
    expect(ruleFor("out", undefined, 1)).toMatchObject({ atol: 0, rtol: 0 });
    expect(ruleFor("out", "exact; follow the first reference", 1)).toMatchObject({
      atol: 0,
      rtol: 0,
    });
  });

  test("a rule relative to the largest gradient keeps the case's rtol", () => {
    const tolerance = { ...base, per_tensor: { "grad.*": "atol 1e-4*max|grad| of that tensor" } };
    expect(ruleFor("grad.w.a", tolerance, 50)).toMatchObject({ atol: 5e-3, rtol: 2e-3 });
    expect(ruleFor("out.y", tolerance, 50)).toMatchObject(base);
  });

  test("reads several terms, exactness, remarks and allowed outliers", () => {
    const per_tensor = {
      a: "atol 1e-4 * max|grad| of that tensor, rtol 5e-3",
      b: "exact",
      c: "informative only (solver)",
      "d*": "atol 4e-3 (allow up to 1% of elements beyond 2e-4)",
      e: 0.5,
      "f/g": "rtol 1",
    };
    const rule = (name: string) => ruleFor(name, { ...base, per_tensor }, 2);
    expect(rule("a")).toMatchObject({ atol: 2e-4, rtol: 5e-3 });
    expect(rule("b")).toMatchObject({ atol: 0, rtol: 0 });
    expect(rule("c").informative).toBe(true);
    expect(rule("d1")).toMatchObject({ atol: 4e-3, outliers: { share: 0.01, beyond: 2e-4 } });
    expect(rule("e").atol).toBe(0.5);
    expect(rule("g").rtol).toBe(1);
  });

  test("refuses prose it does not understand", () => {
    expect(() => ruleFor("a", { per_tensor: { a: "roughly" } }, 1)).toThrow(/not understood/);
  });

  test("globs match whole names", () => {
    expect(matchesGlob("out.x.prompt_embeds", "out.*prompt_embeds")).toBe(true);
    expect(matchesGlob("grad", "grad.*")).toBe(false);
  });
});

describe("compareTensors", () => {
  test("floats within tolerance, NaN with NaN, shapes strictly", () => {
    const x = float32([2], [1, NaN]);
    expect(compareTensors("x", float32([2], [1.001, NaN]), x, { atol: 0.01 }).passed).toBe(true);
    expect(compareTensors("x", float32([2], [1.1, NaN]), x, { atol: 0.01 }).passed).toBe(false);
    expect(compareTensors("x", float32([2, 1], [1, NaN]), x, { atol: 0.01 }).passed).toBe(false);
  });

  test("integers exactly beyond 2^53 whatever the tolerance", () => {
    const big = int64([1], [2n ** 60n + 1n]);
    expect(compareTensors("x", big, int64([1], [2n ** 60n]), { atol: 5 })).toMatchObject({
      passed: false,
    });
    expect(
      compareTensors("x", tensor("int32", [1], Int32Array.of(3)), int64([1], [3]), {}).passed,
    ).toBe(true);
  });

  test("counts outliers", () => {
    const tolerance = { per_tensor: { x: "atol 1 (up to 50% of elements beyond 0.1)" } };
    const zeros = float32([4], [0, 0, 0, 0]);
    expect(compareTensors("x", float32([4], [0.5, 0.5, 0, 0]), zeros, tolerance).passed).toBe(true);
    expect(compareTensors("x", float32([4], [0.5, 0.5, 0.5, 0]), zeros, tolerance).passed).toBe(
      false,
    );
  });
});

test("JSON as Python writes it", () => {
  expect(parseLenientJson('{"a": NaN, "b": [-Infinity, Infinity, "NaN \\" Infinity"]}')).toEqual({
    a: NaN,
    b: [-Infinity, Infinity, 'NaN " Infinity'],
  });
  expect(() => parseLenientJson("{")).toThrow(SyntaxError);
});
