import { describe, expect, it } from "vitest";
import { float32 } from "../tensor/tensor.ts";
import {
  addDims,
  dimKey,
  divideExactly,
  evaluateDim,
  floorDivideDim,
  multiplyDims,
  sameDim,
  subtractDims,
  symbol,
} from "./dim.ts";
import { gradients } from "./gradient.ts";
import {
  add,
  attention,
  concat,
  constant,
  conv2d,
  groupNorm,
  matmul,
  mul,
  neg,
  relu,
  reshape,
  slice,
  softplus,
  stopGradient,
  sub,
  sum,
  transpose,
} from "./ops.ts";
import type { Sym } from "./primitives.ts";
import { simplify } from "./simplify.ts";
import { spec, trace } from "./trace.ts";
import { topologicalOrder } from "./traverse.ts";

const height = symbol("height");
const width = symbol("width");

describe("dimensions", () => {
  it("are equal when they are the same polynomial", () => {
    expect(sameDim(multiplyDims(addDims(height, 1), 2), addDims(height, height, 2))).toBe(true);
    expect(sameDim(multiplyDims(height, width), multiplyDims(width, height))).toBe(true);
    expect(subtractDims(addDims(height, 3), height)).toBe(3);
    expect(sameDim(height, width)).toBe(false);
  });

  it("leave a floor as far as they divide", () => {
    expect(dimKey(floorDivideDim(addDims(multiplyDims(8, height), 1), 2))).toBe("4*height");
    expect(dimKey(floorDivideDim(addDims(height, 1), 2))).toBe("floor((1+height)/2)");
    expect(floorDivideDim(7, 2)).toBe(3);
  });

  it("have the value that arithmetic gives, also with negative remainders", () => {
    for (const h of [1, 2, 7, 8, 15]) {
      const halved = addDims(floorDivideDim(addDims(height, -1), 2), 1);
      expect(evaluateDim(halved, { height: h })).toBe(Math.floor((h - 1) / 2) + 1);
      const mixed = floorDivideDim(addDims(multiplyDims(6, height), multiplyDims(-3, width), 5), 4);
      expect(evaluateDim(mixed, { height: h, width: 3 })).toBe(Math.floor((6 * h - 9 + 5) / 4));
    }
    expect(() => evaluateDim(height, {})).toThrow(/"height"/);
  });

  it("divide when the divisor is a factor", () => {
    expect(dimKey(divideExactly(multiplyDims(6, height, width), multiplyDims(2, width)) ?? 0)).toBe(
      "3*height",
    );
    expect(divideExactly(addDims(height, 1), 2)).toBeUndefined();
  });
});

describe("shapes", () => {
  const shapes = (fn: (given: { x: Sym; y: Sym }) => Sym): Sym =>
    trace(fn, { x: spec("float32", ["n", 4, "height", "width"]), y: spec("float32", [4, 8]) })
      .structure;

  it("follow a convolution's arithmetic symbolically", () => {
    const weight = constant(float32([8, 4, 3, 3], new Float32Array(288)));
    const y = shapes(({ x }) => conv2d(x, weight, undefined, { stride: 2, padding: 1 }));
    expect(y.shape.map((dim) => evaluateDim(dim, { n: 2, height: 7, width: 10 }))).toEqual([
      2, 8, 4, 5,
    ]);
  });

  it("work out the open dimension of a reshape", () => {
    expect(shapes(({ x }) => reshape(x, [x.shape[0], 4, -1])).shape.map(dimKey)).toEqual([
      "n",
      "4",
      "height*width",
    ]);
  });

  it("errors say the operation, what it got and what it expected", () => {
    expect(() => shapes(({ x, y }) => matmul(x, y))).toThrow(
      /matmul: got float32\[n, 4, height, width\] and float32\[4, 8\]; expected \[…, M, K\] and \[…, K, N\]/,
    );
    expect(() => shapes(({ x, y }) => add(x, y))).toThrow(
      /add: got .* expected shapes that broadcast together/,
    );
    expect(() => shapes(({ x }) => groupNorm(x, 3))).toThrow(/C a multiple of 3/);
    expect(() => shapes(({ x }) => slice(x, 1, 0, 5))).toThrow(/0 ≤ start ≤ end ≤ 4/);
    expect(() => shapes(({ x }) => reshape(x, [3, -1]))).toThrow(/does not divide/);
    expect(() => shapes(({ y }) => gradients(y, [y])[0])).toThrow(/must be a scalar/);
  });
});

describe("simplification", () => {
  const count = (fn: (given: { x: Sym; y: Sym }) => Sym): string[] => {
    const { graph } = trace(fn, { x: spec("float32", [4, 4]), y: spec("float32", [4, 4]) });
    return topologicalOrder(simplify(graph).outputs.map(({ value }) => value)).map(
      ({ primitive }) => primitive,
    );
  };

  it("computes equal expressions once", () => {
    expect(count(({ x, y }) => mul(add(x, y), add(x, y)))).toEqual([
      "input",
      "input",
      "add",
      "mul",
    ]);
  });

  it("drops identities and folds constants", () => {
    expect(
      count(({ x }) => neg(neg(transpose(transpose(mul(add(x, 0), 1), [1, 0]), [1, 0])))),
    ).toEqual(["input"]);
    expect(count(({ x }) => mul(mul(x, 3), 2))).toEqual(["input", "constant", "mul"]);
    expect(count(({ x }) => stopGradient(reshape(reshape(x, [16]), [4, 4])))).toEqual(["input"]);
    expect(count(({ x, y }) => sub(concat([x, y], 0), 0))).toEqual(["input", "input", "concat"]);
  });

  it("never computes what no output needs", () => {
    const kept = count(({ x, y }) => {
      softplus(y);
      return relu(x);
    });
    expect(kept).not.toContain("exp");
  });

  it("an attention shares its probabilities with its gradient", () => {
    const { graph } = trace(
      ({ q, k, v }) => {
        const out = attention(q, transpose(k, [0, 1, 3, 2]), v);
        return [out, ...gradients(sum(out), [q, k, v])];
      },
      {
        q: spec("float32", [1, 2, 3, 4]),
        k: spec("float32", [1, 2, 4, 5]),
        v: spec("float32", [1, 2, 5, 4]),
      },
    );
    const used = topologicalOrder(simplify(graph).outputs.map(({ value }) => value)).map(
      ({ primitive }) => primitive,
    );
    expect(used.filter((name) => name === "softmax")).toHaveLength(1);
    expect(used).not.toContain("attention");
  });

  it("a group norm shares its normalised value with its gradient", () => {
    const { graph } = trace(
      ({ x, scale, bias }) => {
        const out = groupNorm(x, 2, scale, bias);
        return [out, ...gradients(sum(mul(out, out)), [x, scale, bias])];
      },
      { x: spec("float32", [2, 4, 3, 3]), scale: spec("float32", [4]), bias: spec("float32", [4]) },
    );
    const used = topologicalOrder(simplify(graph).outputs.map(({ value }) => value)).map(
      ({ primitive }) => primitive,
    );
    expect(used.filter((name) => name === "channelAffine")).toHaveLength(3);
    expect(used).not.toContain("groupNorm");
  });

  it("walks traces of any depth", () => {
    const { graph } = trace(
      ({ x }) => Array.from({ length: 50_000 }).reduce<Sym>((h, _, i) => mul(add(h, i), 1.5), x),
      { x: spec("float32", [1]) },
    );
    expect(simplify(graph).outputs).toHaveLength(1);
  });
});
