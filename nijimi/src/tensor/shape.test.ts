import { describe, expect, test } from "vitest";
import { byteSize, countParameters, renameParameters, subtree, withPrefix } from "./parameters.ts";
import { concatenate, repeatRows, reshape, row, sliceRows, stack, transpose } from "./shape.ts";
import { float32, int64, zeros } from "./tensor.ts";

const range = (shape: number[]) => {
  const size = shape.reduce((a, b) => a * b, 1);
  return float32(
    shape,
    Array.from({ length: size }, (_, i) => i),
  );
};

describe("shapes", () => {
  test("reshape shares data and computes one dimension", () => {
    const x = range([2, 6]);
    const y = reshape(x, [3, -1]);
    expect(y.shape).toEqual([3, 4]);
    expect(y.data).toBe(x.data);
    expect(() => reshape(x, [5, -1])).toThrow(/\[2,6\] has 12 elements/);
    expect(() => reshape(x, [-1, -1])).toThrow(/does not fit/);
  });

  test("rows are views", () => {
    const x = range([3, 2]);
    const last = sliceRows(x, -1);
    last.data[0] = 99;
    expect(x.data[4]).toBe(99);
    expect([...row(x, 1).data]).toEqual([2, 3]);
    expect(row(x, 1).shape).toEqual([2]);
    expect(() => sliceRows(x, 2, 5)).toThrow(/not within the 3 rows/);
    expect(() => row(float32([], [1]), 0)).toThrow(/scalar/);
  });

  test("stack, concatenate and repeat", () => {
    const x = range([2, 2]);
    expect(stack([x, x]).shape).toEqual([2, 2, 2]);
    expect([...concatenate([x, sliceRows(x, 0, 1)]).data]).toEqual([0, 1, 2, 3, 0, 1]);
    expect(repeatRows(int64([1, 1], [5]), 3).data).toEqual(BigInt64Array.of(5n, 5n, 5n));
    expect(() => concatenate([x, range([2, 3])])).toThrow(/does not fit/);
    expect(() => concatenate([x, int64([1, 2], [1, 2])] as never)).toThrow(/must be float32/);
    expect(() => concatenate([])).toThrow(/at least one/);
  });

  test("transposing back and forth gives the same", () => {
    const x = range([2, 3, 4, 5]);
    const nhwc = transpose(x, [0, 2, 3, 1]);
    expect(nhwc.shape).toEqual([2, 4, 5, 3]);
    expect(nhwc.data[1]).toBe(x.data[20]); // [0, 0, 0, 1] was [0, 1, 0, 0]
    expect(transpose(nhwc, [0, 3, 1, 2])).toEqual(x);
    expect([...transpose(range([2, 3]), [1, 0]).data]).toEqual([0, 3, 1, 4, 2, 5]);
    expect(transpose(zeros("float32", [0, 3]), [1, 0]).shape).toEqual([3, 0]);
    expect(transpose(float32([], [7]), []).data).toEqual(Float32Array.of(7));
    expect(() => transpose(x, [0, 0, 1, 2])).toThrow(/not an order/);
  });
});

test("parameter trees", () => {
  const tree = { "a.b.weight": range([2, 3]), "a.c": int64([1], [1]), "ab.d": range([1]) };
  expect(Object.keys(subtree(tree, "a"))).toEqual(["b.weight", "c"]);
  expect(withPrefix(subtree(tree, "a.b"), "x")).toEqual({ "x.weight": tree["a.b.weight"] });
  expect(countParameters(tree)).toBe(8);
  expect(byteSize(tree)).toBe(6 * 4 + 8 + 4);
  expect(Object.keys(renameParameters(tree, (n) => (n === "a.c" ? undefined : n)))).toHaveLength(2);
  expect(() => renameParameters(tree, () => "same")).toThrow(/named "same"/);
});
