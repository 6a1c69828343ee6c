/**
 * Every primitive's gradient against finite differences, on the engine, and gradients of gradients.
 *
 * Directional derivatives in float32: for a random direction v, ⟨∇f, v⟩ against (f(x + hv) − f(x − hv))/2h.
 * The table must name every primitive: a new one without a case does not compile.
 */
import { describe, expect, it } from "vitest";
import { sizeOfShape } from "../graph/dim.ts";
import { gradients, vectorJacobianProduct } from "../graph/gradient.ts";
import * as ops from "../graph/ops.ts";
import type { PrimitiveName, Sym } from "../graph/primitives.ts";
import { spec } from "../graph/trace.ts";
import { torchGenerator } from "../tensor/random/torch.ts";
import { float32, int64, type Tensor } from "../tensor/tensor.ts";
import { compile } from "./compile.ts";

interface GradientCase {
  readonly inputs: readonly (readonly number[])[];
  readonly fn: (...inputs: Sym[]) => Sym;
  /** Values must be positive. */
  readonly positive?: boolean;
}

/** Primitives that carry no gradient, are leaves, or are made after differentiation. */
type Flat =
  | "input" | "parameter" | "constant" | "dimension" | "iota" | "sign" | "floor" | "round" | "not" | "equal" | "less"
  | "lessEqual" | "and" | "or" | "argMax"
  | "after" | "dequantize" | "dequantizeBlocks" | "integerMatmul" | "integerConv" | "blockMatmul"; // prettier-ignore

const { apply } = ops;
const square = [2, 3];
const unary = (fn: (x: Sym) => Sym, positive = false): GradientCase => ({
  inputs: [square],
  fn,
  positive,
});
const binary = (fn: (a: Sym, b: Sym) => Sym, positive = false): GradientCase => ({
  inputs: [square, [3]],
  fn,
  positive,
});
const indices = ops.constant(int64([4], [2, 0, 2, 1]));

const CASES = {
  neg: unary(ops.neg),
  abs: unary(ops.abs, true),
  exp: unary(ops.exp),
  log: unary(ops.log, true),
  sqrt: unary(ops.sqrt, true),
  sin: unary(ops.sin),
  cos: unary(ops.cos),
  tanh: unary(ops.tanh),
  erf: unary(ops.erf),
  sigmoid: unary(ops.sigmoid),
  swish: unary(ops.quickGelu),
  gelu: unary((x) => ops.add(ops.gelu(x), ops.gelu(x, "tanh"))),
  cast: unary((x) => ops.cast(ops.cast(x, "float64"), "float32")),
  stopGradient: unary((x) => ops.add(x, ops.mul(0, ops.stopGradient(x)))),
  add: binary(ops.add),
  sub: binary(ops.sub),
  mul: binary(ops.mul),
  div: binary(ops.div, true),
  pow: binary(ops.pow, true),
  max: binary((a, b) => ops.maximum(a, ops.add(b, 3))),
  min: binary((a, b) => ops.minimum(a, ops.add(b, 3))),
  where: binary((a, b) => ops.where(ops.less(a, -9), a, b)),
  sum: unary((x) => ops.sum(x, { axes: [0] })),
  sumSquares: unary((x) => ops.sumSquares(x, { axes: [1] })),
  mean: unary((x) => ops.mean(x, { axes: [-1], keepDims: true })),
  reduceMax: unary((x) => ops.reduceMax(ops.mul(x, 3), { axes: [1] })),
  cumSum: unary((x) => ops.cumSum(x, 1)),
  reshape: unary((x) => ops.reshape(x, [3, -1])),
  transpose: unary((x) => ops.transpose(x, [1, 0])),
  expand: unary((x) => ops.expand(ops.reshape(x, [2, 1, 3]), [2, 4, 3])),
  slice: {
    inputs: [[5, 7]],
    fn: (x) => ops.add(ops.slice(x, 1, 1, 6, 2), ops.flip(ops.slice(x, 1, 0, 3), 1)),
  },
  pad: unary((x) => ops.pad(x, [1, 0], [0, 2], 0.5)),
  concat: binary((a, b) => ops.concat([a, ops.reshape(b, [1, 3])], 0)),
  gather: {
    inputs: [[3, 2, 2]],
    fn: (x) =>
      ops.concat(
        [
          ops.reshape(ops.gather(x, indices, 0), [-1]),
          ops.reshape(ops.gather(x, ops.constant(int64([], [1])), 1), [-1]),
        ],
        0,
      ),
  },
  scatterAdd: { inputs: [[4, 2]], fn: (x) => ops.scatterAdd(x, indices, 0, 5) },
  matmul: {
    inputs: [
      [2, 3, 4],
      [4, 2],
    ],
    fn: (a, b) => ops.matmul(a, b),
  },
  conv: {
    inputs: [[2, 4, 5, 6], [4, 2, 3, 3], [4]],
    fn: (x, w, b) =>
      ops.conv2d(x, w, b, { stride: [1, 2], padding: [1, 0, 2, 1], dilation: [1, 2], groups: 2 }),
  },
  convTranspose: {
    inputs: [
      [1, 4, 3, 4],
      [4, 2, 3, 3],
    ],
    fn: (x, w) =>
      ops.convTranspose2d(x, w, undefined, {
        stride: 2,
        padding: 1,
        outputPadding: [1, 0],
        groups: 2,
      }),
  },
  convWeightGradient: {
    inputs: [
      [2, 2, 5, 5],
      [2, 3, 3, 3],
    ],
    fn: (x, dy) =>
      apply("convWeightGradient", [x, dy], {
        kernel: [3, 3],
        strides: [2, 2],
        pads: [1, 1, 1, 1],
        dilations: [1, 1],
        groups: 1,
      }),
  },
  softmax: unary((x) => ops.softmax(x)),
  logSoftmax: unary((x) => ops.logSoftmax(x, 0)),
  layerNorm: { inputs: [[3, 4], [4], [4]], fn: (x, scale, bias) => ops.layerNorm(x, scale, bias) },
  groupNorm: {
    inputs: [[2, 4, 3], [4], [4]],
    fn: (x, scale, bias) => ops.groupNorm(x, 2, scale, bias),
  },
  channelAffine: {
    inputs: [
      [2, 4, 8, 8],
      [2, 4],
      [2, 4],
      [2, 4, 8, 8],
    ],
    fn: (x, scale, bias, addend) =>
      ops.add(ops.channelAffine(x, scale, bias), ops.channelAffine(x, bias, addend)),
  },
  attention: {
    inputs: [
      [1, 2, 3, 4],
      [1, 2, 5, 4],
      [1, 2, 5, 3],
      [1, 1, 3, 5],
    ],
    fn: (q, k, v, mask) => ops.attention(q, k, v, { mask }),
  },
  resize: {
    inputs: [[1, 2, 4, 5]],
    fn: (x) =>
      ops.concat(
        [
          ops.reshape(ops.upsampleNearest(x), [-1]),
          ops.reshape(ops.resize(x, [7, 3], "linear", "half_pixel"), [-1]),
          ops.reshape(ops.resize(x, [6, 9], "cubic", "half_pixel"), [-1]),
          ops.reshape(ops.resize(x, [3, 7], "nearest", "asymmetric"), [-1]),
        ],
        0,
      ),
  },
  maxPool: { inputs: [[1, 2, 6, 5]], fn: (x) => ops.maxPool2d(x, 3, { stride: 2, padding: 1 }) },
  averagePool: {
    inputs: [[1, 2, 6, 5]],
    fn: (x) =>
      ops.add(
        ops.averagePool2d(x, 3, { stride: 2, padding: 1 }),
        ops.averagePool2d(x, 3, { stride: 2, padding: 1, countIncludePad: false }),
      ),
  },
} as const satisfies { readonly [P in Exclude<PrimitiveName, Flat>]: GradientCase };

const STEP = 2e-2;

/** A scalar that weighs every element differently, so that no gradient cancels. */
function weighted(y: Sym): Sym {
  const size = sizeOfShape(y.shape) as number;
  const weights = Float32Array.from({ length: size }, (_, i) => Math.sin(i * 1.7 + 0.3));
  return ops.sum(ops.mul(ops.reshape(y, [size]), ops.constant(float32([size], weights))));
}

/** The inputs by name, moved along a direction. */
function moved(
  points: readonly Tensor<"float32">[],
  directions: readonly Tensor<"float32">[],
  h: number,
): Record<string, Tensor> {
  return Object.fromEntries(
    points.map((point, i) => [
      `x${i}`,
      float32(
        point.shape,
        point.data.map((value, j) => value + h * directions[i].data[j]),
      ),
    ]),
  );
}

describe("gradients against finite differences", () => {
  for (const [name, { inputs, fn, positive }] of Object.entries(CASES) as [string, GradientCase][])
    it(name, async () => {
      const random = torchGenerator(7);
      const points = inputs.map((shape) => {
        const drawn = random.randn(shape);
        return positive
          ? float32(
              shape,
              drawn.data.map((value) => Math.abs(value) + 0.5),
            )
          : drawn;
      });
      const directions = inputs.map((shape) => random.randn(shape));
      const specs = Object.fromEntries(inputs.map((shape, i) => [`x${i}`, spec("float32", shape)]));
      const run = await compile((given: Record<string, Sym>) => {
        const list = inputs.map((_, i) => given[`x${i}`]);
        const loss = weighted(fn(...list));
        return { loss, gradients: gradients(loss, list) };
      }, specs);
      const at = await run(moved(points, directions, 0));
      const ahead = Number((await run(moved(points, directions, STEP))).loss.data[0]);
      const behind = Number((await run(moved(points, directions, -STEP))).loss.data[0]);
      await run.dispose();
      const measured = (ahead - behind) / (2 * STEP);
      const parts = at.gradients.map((gradient, i) =>
        Array.from(gradient.data as Float32Array).reduce(
          (sum, value, j) => sum + value * directions[i].data[j],
          0,
        ),
      );
      const computed = parts.reduce((sum, part) => sum + part, 0);
      const scale = Math.max(1, ...parts.map(Math.abs));
      expect(Math.abs(computed - measured)).toBeLessThan(2e-2 * scale);
      expect(at.gradients.map(({ shape }) => shape)).toEqual(inputs);
    });
});

describe("weight gradients of convolutions over large images", () => {
  const geometries = {
    plain: { padding: 1 },
    strided: { stride: [1, 2], padding: [0, 1, 1, 0] },
    dilated: { padding: [2, 1, 2, 1], dilation: [2, 1] },
  } as const;
  for (const [name, geometry] of Object.entries(geometries))
    it(`${name}: known sizes, which are lowered in a way of their own, as open ones`, async () => {
      const random = torchGenerator(11);
      const given = { x: random.randn([3, 2, 40, 66]), w: random.randn([4, 2, 3, 3]) };
      const slope = async (batch: number | string): Promise<Float32Array> => {
        const specs = { x: spec("float32", [batch, 2, 40, 66]), w: spec("float32", [4, 2, 3, 3]) };
        const run = await compile(({ x, w }) => {
          const y = ops.conv2d(x, w, undefined, geometry);
          return gradients(ops.mean(ops.square(y)), [w])[0];
        }, specs);
        const { data } = await run(given);
        await run.dispose();
        return data as Float32Array;
      };
      const [known, open] = [await slope(3), await slope("n")];
      const largest = Math.max(...open.map(Math.abs));
      known.forEach((value, i) =>
        expect(Math.abs(value - open[i])).toBeLessThan(1e-5 * Math.max(1, largest)),
      );
    });
});

describe("gradients of gradients", () => {
  it("a gradient penalty differentiates through a convolution and a norm", async () => {
    const random = torchGenerator(3);
    const [x, w, v] = [
      random.randn([1, 4, 5, 5]),
      random.randn([4, 4, 3, 3]),
      random.randn([4, 4, 3, 3]),
    ];
    const run = await compile(
      ({ image, weight }) => {
        const score = ops.sum(
          ops.tanh(ops.groupNorm(ops.conv2d(image, weight, undefined, { padding: 1 }), 2)),
        );
        const [slope] = gradients(score, [image]);
        const penalty = ops.mean(ops.square(slope));
        return { penalty, gradient: gradients(penalty, [weight])[0] };
      },
      { image: spec("float32", x.shape), weight: spec("float32", w.shape) },
    );
    const along = (h: number): Tensor =>
      float32(
        w.shape,
        w.data.map((value, i) => value + h * v.data[i]),
      );
    const penaltyAt = async (h: number): Promise<number> =>
      Number((await run({ image: x, weight: along(h) })).penalty.data[0]);
    const measured = ((await penaltyAt(5e-3)) - (await penaltyAt(-5e-3))) / 1e-2;
    const { gradient } = await run({ image: x, weight: w });
    await run.dispose();
    const computed = Array.from(gradient.data as Float32Array).reduce(
      (sum, value, i) => sum + value * v.data[i],
      0,
    );
    expect(Math.abs(computed - measured)).toBeLessThan(2e-2 * Math.max(1, Math.abs(measured)));
  });

  it("the second derivative of x³ is 6x", async () => {
    const run = await compile(
      ({ x }) => {
        const [first] = gradients(ops.sum(ops.mul(ops.square(x), x)), [x]);
        return vectorJacobianProduct([first], [ops.full(x.shape, 1)], [x])[0];
      },
      { x: spec("float32", [3]) },
    );
    expect(Array.from((await run({ x: float32([3], [1, -2, 0.5]) })).data as Float32Array)).toEqual(
      [6, -12, 3],
    );
    await run.dispose();
  });

  it("nothing passes a stopGradient", async () => {
    const run = await compile(
      ({ x }) => gradients(ops.sum(ops.mul(x, ops.stopGradient(ops.square(x)))), [x])[0],
      { x: spec("float32", [2]) },
    );
    expect(Array.from((await run({ x: float32([2], [3, 4]) })).data as Float32Array)).toEqual([
      9, 16,
    ]);
    await run.dispose();
  });
});
