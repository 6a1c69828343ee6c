/**
 * Shape rules: what shape and dtype each primitive gives, and which inputs it refuses.
 * A refusal names the operation, the shapes it got and what it expected.
 */
import { NijimiError } from "../errors.ts";
import type { DType } from "../tensor/dtype.ts";
import {
  addDims,
  type Dim,
  dimKey,
  floorDivideDim,
  multiplyDims,
  sameDim,
  sameShape,
  type Shape,
  showShape,
  sizeOfShape,
  subtractDims,
} from "./dim.ts";
import type {
  ConvGeometry,
  PoolGeometry,
  PrimitiveAttributes,
  PrimitiveName,
  Reduction,
  Sym,
} from "./primitives.ts";
import { QUANTIZED_SHAPES } from "./quantized-shapes.ts";

interface Typed {
  readonly shape: Shape;
  readonly dtype: DType;
}

type ShapeRule<P extends PrimitiveName> = (
  inputs: readonly Sym[],
  attributes: PrimitiveAttributes[P],
) => Typed;

/** An error of operation `name` about its inputs' shapes. */
function refuse(name: string, inputs: readonly Sym[], expected: string): NijimiError {
  const got = inputs.map((input) => `${input.dtype}${showShape(input.shape)}`).join(" and ");
  return new NijimiError("shape", `${name}: got ${got}; expected ${expected}.`);
}

function requireFloat(name: string, inputs: readonly Sym[]): void {
  for (const input of inputs)
    if (!input.dtype.startsWith("float") && input.dtype !== "bfloat16")
      throw new NijimiError(
        "dtype",
        `${name}: expected floating-point input; got ${input.dtype}${showShape(input.shape)}. Use cast().`,
      );
}

/** Axis counted from the end when negative, checked against the rank. */
export function normaliseAxis(
  name: string,
  axis: number,
  input: { readonly shape: Shape },
): number {
  const rank = input.shape.length;
  const positive = axis < 0 ? axis + rank : axis;
  if (!Number.isInteger(axis) || positive < 0 || positive >= rank)
    throw new NijimiError(
      "shape",
      `${name}: axis ${axis} is outside ${showShape(input.shape)}; expected −${rank} … ${rank - 1}.`,
    );
  return positive;
}

/** NumPy broadcasting of several shapes. Two symbolic sizes broadcast only when they are known to be equal. */
export function broadcastShapes(name: string, inputs: readonly Sym[]): Shape {
  const rank = Math.max(...inputs.map((input) => input.shape.length));
  return Array.from({ length: rank }, (_, i) => {
    let dim: Dim = 1;
    for (const { shape } of inputs) {
      const own = shape[shape.length - rank + i] ?? 1;
      if (own === 1 || sameDim(own, dim)) continue;
      if (dim !== 1) throw refuse(name, inputs, "shapes that broadcast together");
      dim = own;
    }
    return dim;
  });
}

const sameAsInput: ShapeRule<PrimitiveName> = ([x]) => ({ shape: x.shape, dtype: x.dtype });

function floatUnary(name: string): ShapeRule<PrimitiveName> {
  return (inputs) => {
    requireFloat(name, inputs);
    return { shape: inputs[0].shape, dtype: inputs[0].dtype };
  };
}

function binary(name: string, result?: DType): ShapeRule<PrimitiveName> {
  return (inputs) => {
    const [a, b] = inputs;
    if (a.dtype !== b.dtype)
      throw new NijimiError(
        "dtype",
        `${name}: got ${a.dtype} and ${b.dtype}; expected one dtype. Use cast().`,
      );
    return { shape: broadcastShapes(name, inputs), dtype: result ?? a.dtype };
  };
}

function logical(name: string): ShapeRule<PrimitiveName> {
  return (inputs) => {
    for (const { dtype } of inputs)
      if (dtype !== "bool") throw new NijimiError("dtype", `${name}: got ${dtype}; expected bool.`);
    return { shape: broadcastShapes(name, inputs), dtype: "bool" };
  };
}

function reduction(name: string): (inputs: readonly Sym[], attributes: Reduction) => Typed {
  return ([x], { axes, keepDims }) => {
    const reduced = new Set(axes.map((axis) => normaliseAxis(name, axis, x)));
    const shape = x.shape.flatMap((dim, i) => (reduced.has(i) ? (keepDims ? [1] : []) : [dim]));
    return { shape, dtype: x.dtype };
  };
}

/** Output size of a window of `kernel` moved over `size` padded by `before` and `after`. */
function windows(
  size: Dim,
  kernel: number,
  stride: number,
  before: number,
  after: number,
  dilation = 1,
): Dim {
  const span = dilation * (kernel - 1) + 1;
  return addDims(floorDivideDim(addDims(size, before + after - span), stride), 1);
}

function requireRank4(name: string, inputs: readonly Sym[]): void {
  if (inputs.some((input) => input.shape.length !== 4))
    throw refuse(name, inputs, "four dimensions each [N, C, H, W]");
}

function positiveDims(name: string, inputs: readonly Sym[], dims: readonly Dim[]): void {
  if (dims.some((dim) => typeof dim === "number" && dim <= 0))
    throw refuse(name, inputs, `a window that fits; the output would be ${showShape(dims)}`);
}

function convOutput(x: Sym, kernel: readonly [number, number], g: ConvGeometry): [Dim, Dim] {
  return [
    windows(x.shape[2], kernel[0], g.strides[0], g.pads[0], g.pads[2], g.dilations[0]),
    windows(x.shape[3], kernel[1], g.strides[1], g.pads[1], g.pads[3], g.dilations[1]),
  ];
}

function pooled(name: string): (inputs: readonly Sym[], g: PoolGeometry) => Typed {
  return (inputs, { kernel, strides, pads }) => {
    requireRank4(name, inputs);
    const [x] = inputs;
    const spatial = [
      windows(x.shape[2], kernel[0], strides[0], pads[0], pads[2]),
      windows(x.shape[3], kernel[1], strides[1], pads[1], pads[3]),
    ];
    positiveDims(name, inputs, spatial);
    return { shape: [x.shape[0], x.shape[1], ...spatial], dtype: x.dtype };
  };
}

/** Shape rule of every primitive. */
export const SHAPE_RULES = {
  input: (_, { shape, dtype }) => ({ shape, dtype }),
  parameter: (_, { shape, dtype }) => ({ shape, dtype }),
  constant: (_, { value }) => ({ shape: value.shape, dtype: value.dtype }),
  dimension: () => ({ shape: [], dtype: "int64" }),
  iota: (_, { length }) => ({ shape: [length], dtype: "int64" }),

  neg: sameAsInput,
  abs: sameAsInput,
  sign: sameAsInput,
  exp: floatUnary("exp"),
  log: floatUnary("log"),
  sqrt: floatUnary("sqrt"),
  sin: floatUnary("sin"),
  cos: floatUnary("cos"),
  tanh: floatUnary("tanh"),
  erf: floatUnary("erf"),
  sigmoid: floatUnary("sigmoid"),
  floor: floatUnary("floor"),
  round: floatUnary("round"),
  swish: floatUnary("swish"),
  gelu: floatUnary("gelu"),
  not: logical("not"),
  cast: ([x], { dtype }) => ({ shape: x.shape, dtype }),
  stopGradient: sameAsInput,

  add: binary("add"),
  sub: binary("sub"),
  mul: binary("mul"),
  div: binary("div"),
  pow: binary("pow"),
  max: binary("max"),
  min: binary("min"),
  equal: binary("equal", "bool"),
  less: binary("less", "bool"),
  lessEqual: binary("lessEqual", "bool"),
  and: logical("and"),
  or: logical("or"),
  where: (inputs) => {
    const [condition, a, b] = inputs;
    if (condition.dtype !== "bool" || a.dtype !== b.dtype)
      throw new NijimiError(
        "dtype",
        `where: got ${condition.dtype}, ${a.dtype}, ${b.dtype}; expected bool and two of one dtype.`,
      );
    return { shape: broadcastShapes("where", inputs), dtype: a.dtype };
  },

  sum: reduction("sum"),
  sumSquares: reduction("sumSquares"),
  mean: reduction("mean"),
  reduceMax: reduction("reduceMax"),
  argMax: ([x], { axis }) => {
    const at = normaliseAxis("argMax", axis, x);
    return { shape: x.shape.filter((_, i) => i !== at), dtype: "int64" };
  },
  cumSum: ([x], { axis }) => {
    normaliseAxis("cumSum", axis, x);
    return { shape: x.shape, dtype: x.dtype };
  },

  reshape: (inputs, { shape }) => {
    const [x] = inputs;
    if (!sameDim(sizeOfShape(x.shape), sizeOfShape(shape)))
      throw refuse(
        "reshape",
        inputs,
        `as many elements as ${showShape(shape)} (${dimKey(sizeOfShape(shape))})`,
      );
    return { shape, dtype: x.dtype };
  },
  transpose: (inputs, { permutation }) => {
    const [x] = inputs;
    const sorted = [...permutation].sort((a, b) => a - b);
    if (sorted.length !== x.shape.length || sorted.some((axis, i) => axis !== i))
      throw refuse(
        "transpose",
        inputs,
        `a rank that permutation [${permutation}] covers once each`,
      );
    return { shape: permutation.map((axis) => x.shape[axis]), dtype: x.dtype };
  },
  expand: (inputs, { shape }) => {
    const [x] = inputs;
    const offset = shape.length - x.shape.length;
    if (offset < 0 || x.shape.some((dim, i) => dim !== 1 && !sameDim(dim, shape[offset + i])))
      throw refuse("expand", inputs, `a shape that broadcasts to ${showShape(shape)}`);
    return { shape, dtype: x.dtype };
  },
  slice: (inputs, { axis, start, end, step }) => {
    const [x] = inputs;
    const at = normaliseAxis("slice", axis, x);
    const size = x.shape[at];
    const bounds = [start, end, size];
    if (step > 0 && bounds.every((bound) => typeof bound === "number")) {
      const [from, to, all] = bounds as number[];
      if (from < 0 || to > all || from > to)
        throw refuse(
          "slice",
          inputs,
          `0 ≤ start ≤ end ≤ ${all} on axis ${axis}; start ${from}, end ${to}`,
        );
    }
    const span = step > 0 ? subtractDims(end, start) : subtractDims(start, end);
    const length = floorDivideDim(addDims(span, Math.abs(step) - 1), Math.abs(step));
    return { shape: x.shape.map((dim, i) => (i === at ? length : dim)), dtype: x.dtype };
  },
  pad: (inputs, { before, after }) => {
    const [x] = inputs;
    if (before.length !== x.shape.length || after.length !== x.shape.length)
      throw refuse("pad", inputs, `a rank of ${before.length}`);
    return { shape: x.shape.map((dim, i) => addDims(dim, before[i] + after[i])), dtype: x.dtype };
  },
  concat: (inputs, { axis }) => {
    const [first] = inputs;
    const at = normaliseAxis("concat", axis, first);
    for (const input of inputs)
      if (
        input.dtype !== first.dtype ||
        input.shape.length !== first.shape.length ||
        input.shape.some((dim, i) => i !== at && !sameDim(dim, first.shape[i]))
      )
        throw refuse("concat", inputs, `one dtype and equal shapes but for axis ${axis}`);
    const total = addDims(...inputs.map((input) => input.shape[at]));
    return { shape: first.shape.map((dim, i) => (i === at ? total : dim)), dtype: first.dtype };
  },
  gather: (inputs, { axis }) => {
    const [data, indices] = inputs;
    const at = normaliseAxis("gather", axis, data);
    if (indices.dtype !== "int64")
      throw new NijimiError("dtype", `gather: indices are ${indices.dtype}; expected int64.`);
    return {
      shape: [...data.shape.slice(0, at), ...indices.shape, ...data.shape.slice(at + 1)],
      dtype: data.dtype,
    };
  },
  scatterAdd: (inputs, { axis, size }) => {
    const [updates, indices] = inputs;
    if (indices.dtype !== "int64")
      throw new NijimiError("dtype", `scatterAdd: indices are ${indices.dtype}; expected int64.`);
    const covered = updates.shape.slice(axis, axis + indices.shape.length);
    if (!sameShape(covered, indices.shape))
      throw refuse("scatterAdd", inputs, "updates that contain the indices' shape at the axis");
    return {
      shape: [
        ...updates.shape.slice(0, axis),
        size,
        ...updates.shape.slice(axis + indices.shape.length),
      ],
      dtype: updates.dtype,
    };
  },

  matmul: (inputs) => {
    requireFloat("matmul", inputs);
    const [a, b] = inputs;
    if (
      a.shape.length < 2 ||
      b.shape.length < 2 ||
      !sameDim(a.shape.at(-1) as Dim, b.shape.at(-2) as Dim) ||
      a.dtype !== b.dtype
    )
      throw refuse("matmul", inputs, "[…, M, K] and […, K, N] of one dtype");
    const batchOf = (sym: Sym): Sym => ({ ...sym, shape: sym.shape.slice(0, -2) });
    const batch = broadcastShapes("matmul", [batchOf(a), batchOf(b)]);
    return { shape: [...batch, a.shape.at(-2) as Dim, b.shape.at(-1) as Dim], dtype: a.dtype };
  },
  conv: (inputs, geometry) => {
    requireFloat("conv", inputs);
    const [x, weight, bias] = inputs;
    requireRank4("conv", [x, weight]);
    const channels = multiplyDims(weight.shape[1], geometry.groups);
    const outputs = weight.shape[0];
    if (
      !sameDim(x.shape[1], channels) ||
      (typeof outputs === "number" && outputs % geometry.groups !== 0)
    )
      throw refuse(
        "conv",
        inputs,
        `[N, C, H, W] and [O, C/${geometry.groups}, kh, kw]: C = ${dimKey(channels)}, O a multiple of ${geometry.groups}`,
      );
    if (bias !== undefined && !sameShape(bias.shape, [outputs]))
      throw refuse("conv", inputs, `a bias of shape [${dimKey(outputs)}]`);
    const kernel = [weight.shape[2] as number, weight.shape[3] as number] as const;
    const spatial = convOutput(x, kernel, geometry);
    positiveDims("conv", inputs, spatial);
    return { shape: [x.shape[0], outputs, ...spatial], dtype: x.dtype };
  },
  convTranspose: (inputs, { strides, pads, dilations, groups, outputPadding }) => {
    requireFloat("convTranspose", inputs);
    requireRank4("convTranspose", inputs);
    const [x, weight] = inputs;
    if (!sameDim(x.shape[1], weight.shape[0]))
      throw refuse("convTranspose", inputs, "[N, C, H, W] and [C, O/groups, kh, kw]");
    const spatial = [0, 1].map((i) => {
      const span = dilations[i] * ((weight.shape[2 + i] as number) - 1) + 1;
      const stretched = multiplyDims(addDims(x.shape[2 + i], -1), strides[i]);
      return addDims(stretched, span - pads[i] - pads[i + 2], outputPadding[i]);
    });
    positiveDims("convTranspose", inputs, spatial);
    return {
      shape: [x.shape[0], multiplyDims(weight.shape[1], groups), ...spatial],
      dtype: x.dtype,
    };
  },
  convWeightGradient: (inputs, { kernel, groups, ...geometry }) => {
    requireRank4("convWeightGradient", inputs);
    const [x, dy] = inputs;
    const spatial = convOutput(x, kernel, { ...geometry, groups });
    if (!sameDim(spatial[0], dy.shape[2]) || !sameDim(spatial[1], dy.shape[3]))
      throw refuse(
        "convWeightGradient",
        inputs,
        `a gradient of spatial size ${showShape(spatial)}`,
      );
    return { shape: [dy.shape[1], floorDivideDim(x.shape[1], groups), ...kernel], dtype: x.dtype };
  },

  softmax: (inputs, { axis }) => {
    requireFloat("softmax", inputs);
    normaliseAxis("softmax", axis, inputs[0]);
    return sameAsInput(inputs, {});
  },
  logSoftmax: (inputs, { axis }) => {
    requireFloat("logSoftmax", inputs);
    normaliseAxis("logSoftmax", axis, inputs[0]);
    return sameAsInput(inputs, {});
  },
  layerNorm: (inputs, { axes }) => {
    requireFloat("layerNorm", inputs);
    const [x, scale, bias] = inputs;
    const tail = x.shape.slice(x.shape.length - axes);
    if (!sameShape(scale.shape, tail) || !sameShape(bias.shape, tail))
      throw refuse("layerNorm", inputs, `scale and bias of the shape of the last ${axes} axes`);
    return { shape: x.shape, dtype: x.dtype };
  },
  groupNorm: (inputs, { groups }) => {
    requireFloat("groupNorm", inputs);
    const [x, scale, bias] = inputs;
    const channels = x.shape[1];
    if (
      typeof channels !== "number" ||
      channels % groups !== 0 ||
      !sameShape(scale.shape, [channels]) ||
      !sameShape(bias.shape, [channels])
    )
      throw refuse(
        "groupNorm",
        inputs,
        `[N, C, …] with C a multiple of ${groups}, scale [C] and bias [C]`,
      );
    return { shape: x.shape, dtype: x.dtype };
  },
  channelAffine: (inputs) => {
    requireFloat("channelAffine", inputs);
    const [x, scale, bias] = inputs;
    const perChannel = x.shape.slice(0, 2);
    if (
      !sameShape(scale.shape, perChannel) ||
      !(sameShape(bias.shape, perChannel) || sameShape(bias.shape, x.shape))
    )
      throw refuse(
        "channelAffine",
        inputs,
        "x [N, C, …], scale [N, C] and bias [N, C] or of x's shape",
      );
    return { shape: x.shape, dtype: x.dtype };
  },
  attention: (inputs) => {
    requireFloat("attention", inputs);
    const [q, k, v, mask] = inputs;
    const fits =
      q.shape.length === 4 &&
      k.shape.length === 4 &&
      v.shape.length === 4 &&
      sameShape([q.shape[0], q.shape[1], q.shape[3]], [k.shape[0], k.shape[1], k.shape[3]]) &&
      sameShape(k.shape.slice(0, 3), v.shape.slice(0, 3));
    if (!fits) throw refuse("attention", inputs, "q [B, H, N, D], k [B, H, M, D], v [B, H, M, E]");
    if (mask !== undefined) {
      const scores: Shape = [q.shape[0], q.shape[1], q.shape[2], k.shape[2]];
      const reached = broadcastShapes("attention", [mask, { ...q, shape: scores }]);
      if (!sameShape(reached, scores))
        throw refuse("attention", inputs, `a mask that broadcasts to ${showShape(scores)}`);
    }
    return { shape: [q.shape[0], q.shape[1], q.shape[2], v.shape[3]], dtype: q.dtype };
  },
  resize: (inputs, { size }) => {
    requireRank4("resize", inputs);
    positiveDims("resize", inputs, size);
    return { shape: [inputs[0].shape[0], inputs[0].shape[1], ...size], dtype: inputs[0].dtype };
  },
  maxPool: pooled("maxPool"),
  averagePool: pooled("averagePool"),

  ...QUANTIZED_SHAPES,
} as const satisfies { readonly [P in PrimitiveName]: ShapeRule<P> };
