/**
 * Gradient rules: for each primitive, the cotangents of its inputs given the cotangent `g` of its output.
 *
 * Every rule is written with the operations themselves, so gradients can be differentiated again.
 * `undefined` means that no gradient flows (integers, booleans, comparisons, piecewise constants).
 */
import { InternalError } from "../errors.ts";
import { float32 } from "../tensor/tensor.ts";
import { attentionProbabilities, groupStatistics, perChannel } from "./decompose.ts";
import {
  addDims,
  type Dim,
  multiplyDims,
  sameDim,
  type Shape,
  sizeOfShape,
  subtractDims,
} from "./dim.ts";
import {
  add,
  apply,
  cast,
  channelAffine,
  constant,
  cos,
  div,
  dimension,
  equal,
  exp,
  expand,
  full,
  gather,
  less,
  log,
  matmul,
  maximum,
  mean,
  mul,
  neg,
  pad,
  pow,
  reshape,
  scatterAdd,
  sigmoid,
  sign,
  sin,
  slice,
  sqrt,
  square,
  sub,
  sum,
  swapAxes,
  tanh,
  transpose,
  unsqueeze,
  where,
} from "./ops.ts";
import type { ConvGeometry, PrimitiveName, Sym } from "./primitives.ts";
import { resizeMatrix } from "./resize-matrix.ts";

/** Cotangents of the inputs of `node`, in order; missing ones carry no gradient. */
type GradientRule<P extends PrimitiveName> = (g: Sym, node: Sym<P>) => readonly (Sym | undefined)[];

const noGradient = (): readonly undefined[] => [];

/** Weights are quantised in a graph whose gradients have been taken. */
const notDifferentiated = (_: Sym, { primitive }: Sym): never => {
  throw new InternalError(`${primitive} is made after differentiation`);
};

/** Sums `g` over the axes along which `shape` was broadcast. */
function unbroadcast(g: Sym, shape: Shape): Sym {
  const extra = g.shape.length - shape.length;
  const axes = g.shape.flatMap((dim, i) =>
    i < extra || (shape[i - extra] === 1 && !sameDim(dim, 1)) ? [i] : [],
  );
  if (axes.length === 0) return g;
  return reshape(sum(g, { axes, keepDims: true }), shape);
}

/** A reduced tensor put back to the rank of `x` and broadcast over the reduced axes. */
function rebroadcast(g: Sym, x: Sym, axes: readonly number[]): Sym {
  return expand(keepReduced(g, x, axes), x.shape);
}

function keepReduced(g: Sym, x: Sym, axes: readonly number[]): Sym {
  return reshape(
    g,
    x.shape.map((dim, i) => (axes.includes(i) ? 1 : dim)),
  );
}

/** Number of elements in the given axes, as a float32 scalar. */
function count(x: Sym, axes: readonly number[]): Sym {
  return cast(dimension(sizeOfShape(axes.map((axis) => x.shape[axis]))), x.dtype);
}

function convInputGradient(g: Sym, weight: Sym, input: Shape, geometry: ConvGeometry): Sym {
  const { strides, pads, dilations, groups } = geometry;
  const missing = [0, 1].map((i) => {
    const span = dilations[i] * ((weight.shape[2 + i] as number) - 1) + 1;
    const covered = addDims(
      multiplyDims(addDims(g.shape[2 + i], -1), strides[i]),
      span - pads[i] - pads[i + 2],
    );
    return subtractDims(input[2 + i], covered);
  }) as [Dim, Dim];
  return apply("convTranspose", [g, weight], {
    strides,
    pads,
    dilations,
    groups,
    outputPadding: missing,
  });
}

function weightGradient(
  x: Sym,
  dy: Sym,
  weight: Sym,
  { strides, pads, dilations, groups }: ConvGeometry,
): Sym {
  const kernel = [weight.shape[2] as number, weight.shape[3] as number] as const;
  return apply("convWeightGradient", [x, dy], { strides, pads, dilations, groups, kernel });
}

/** Puts a slice with step back into zeros of size `size` along `axis`. */
function unslice(g: Sym, axis: number, start: Dim, size: Dim, step: number): Sym {
  let spread = g;
  let length = g.shape[axis];
  if (step > 1) {
    const at = axis + 1;
    const apart = unsqueeze(g, at);
    const zeros = apart.shape.map((_, i) => (i === at ? step - 1 : 0));
    length = multiplyDims(length, step);
    spread = reshape(
      pad(
        apart,
        apart.shape.map(() => 0),
        zeros,
      ),
      g.shape.map((dim, i) => (i === axis ? length : dim)),
    );
    const room = subtractDims(size, start);
    const last = subtractDims(length, room);
    if (typeof last === "number" && last > 0) {
      spread = slice(spread, axis, 0, room);
      length = room;
    }
  }
  const after = subtractDims(subtractDims(size, start), length);
  const before = g.shape.map((_, i) => (i === axis ? (start as number) : 0));
  const behind = g.shape.map((_, i) => (i === axis ? (after as number) : 0));
  return pad(spread, before, behind);
}

/** Sum over space for each sample and channel: [N, C, …] → [N, C]. */
function channelSum(x: Sym): Sym {
  const [n, c, ...space] = x.shape;
  return sum(reshape(x, [n, c, sizeOfShape(space)]), { axes: [2] });
}

/** Gradient rule of every primitive. */
export const GRADIENT_RULES = {
  input: noGradient,
  parameter: noGradient,
  constant: noGradient,
  dimension: noGradient,
  iota: noGradient,
  sign: noGradient,
  floor: noGradient,
  round: noGradient,
  not: noGradient,
  equal: noGradient,
  less: noGradient,
  lessEqual: noGradient,
  and: noGradient,
  or: noGradient,
  argMax: noGradient,
  stopGradient: noGradient,

  neg: (g) => [neg(g)],
  abs: (g, { inputs: [x] }) => [mul(g, sign(x))],
  exp: (g, y) => [mul(g, y)],
  log: (g, { inputs: [x] }) => [div(g, x)],
  sqrt: (g, y) => [div(mul(g, 0.5), y)],
  sin: (g, { inputs: [x] }) => [mul(g, cos(x))],
  cos: (g, { inputs: [x] }) => [neg(mul(g, sin(x)))],
  tanh: (g, y) => [mul(g, sub(1, square(y)))],
  erf: (g, { inputs: [x] }) => [mul(mul(g, 2 / Math.sqrt(Math.PI)), exp(neg(square(x))))],
  sigmoid: (g, y) => [mul(g, mul(y, sub(1, y)))],
  swish: (g, y) => {
    // d(x·s) = s + α·y·(1 − s), s = σ(αx)
    const { inputs: [x], attributes: { alpha } } = y; // prettier-ignore
    const s = sigmoid(alpha === 1 ? x : mul(x, alpha));
    const scaled = alpha === 1 ? y : mul(y, alpha);
    return [mul(g, add(scaled, mul(s, sub(1, scaled))))]; // = s + αy − αy·s
  },
  gelu: (g, { inputs: [x], attributes: { approximate } }) => {
    if (approximate === "none") {
      // d(x·Φ) = Φ + x·φ
      const cdf = mul(add(apply("erf", [mul(x, Math.SQRT1_2)], {}), 1), 0.5);
      const pdf = mul(exp(mul(square(x), -0.5)), 1 / Math.sqrt(2 * Math.PI));
      return [mul(g, add(cdf, mul(x, pdf)))];
    }
    // u = √(2/π)(x + 0.044715x³); d = ½(1 + tanh u) + ½x(1 − tanh²u)·du/dx
    const c = Math.sqrt(2 / Math.PI);
    const t = tanh(mul(add(x, mul(mul(square(x), x), 0.044715)), c));
    const du = mul(add(mul(square(x), 3 * 0.044715), 1), c);
    return [mul(g, add(mul(add(t, 1), 0.5), mul(mul(mul(x, 0.5), sub(1, square(t))), du)))];
  },
  cast: (g, { inputs: [x] }) => [isFloat(x) ? cast(g, x.dtype) : undefined],

  add: (g, { inputs: [a, b] }) => [unbroadcast(g, a.shape), unbroadcast(g, b.shape)],
  sub: (g, { inputs: [a, b] }) => [unbroadcast(g, a.shape), unbroadcast(neg(g), b.shape)],
  mul: (g, { inputs: [a, b] }) => [
    unbroadcast(mul(g, b), a.shape),
    unbroadcast(mul(g, a), b.shape),
  ],
  div: (g, { inputs: [a, b] }) => [
    unbroadcast(div(g, b), a.shape),
    unbroadcast(neg(div(mul(g, a), square(b))), b.shape), // d(a/b)/db = −a/b²
  ],
  pow: (g, y) => {
    const [a, b] = y.inputs;
    return [
      unbroadcast(mul(g, mul(b, pow(a, sub(b, 1)))), a.shape),
      unbroadcast(mul(g, mul(y, log(a))), b.shape),
    ];
  },
  // Ties give the whole gradient to the second operand, so that relu'(0) = 0 and pooling takes the first of equals.
  max: (g, { inputs: [a, b] }) => {
    const first = less(b, a);
    return [unbroadcast(where(first, g, 0), a.shape), unbroadcast(where(first, 0, g), b.shape)];
  },
  min: (g, { inputs: [a, b] }) => {
    const first = less(a, b);
    return [unbroadcast(where(first, g, 0), a.shape), unbroadcast(where(first, 0, g), b.shape)];
  },
  where: (g, { inputs: [condition, a, b] }) => [
    undefined,
    unbroadcast(where(condition, g, 0), a.shape),
    unbroadcast(where(condition, 0, g), b.shape),
  ],

  sum: (g, { inputs: [x], attributes: { axes } }) => [rebroadcast(g, x, axes)],
  sumSquares: (g, { inputs: [x], attributes: { axes } }) => [
    mul(x, mul(keepReduced(g, x, axes), 2)),
  ],
  mean: (g, { inputs: [x], attributes: { axes } }) => [
    rebroadcast(div(g, count(x, axes)), x, axes),
  ],
  reduceMax: (g, y) => {
    const { inputs: [x], attributes: { axes } } = y; // prettier-ignore
    const largest = cast(equal(x, keepReduced(y, x, axes)), x.dtype);
    const ties = sum(largest, { axes, keepDims: true });
    return [mul(largest, div(keepReduced(g, x, axes), ties))];
  },
  cumSum: (g, { attributes: { axis, reverse } }) => [
    apply("cumSum", [g], { axis, reverse: !reverse }),
  ],

  reshape: (g, { inputs: [x] }) => [reshape(g, x.shape)],
  transpose: (g, { attributes: { permutation } }) => [
    transpose(
      g,
      permutation.map((_, axis) => permutation.indexOf(axis)),
    ),
  ],
  expand: (g, { inputs: [x] }) => [unbroadcast(g, x.shape)],
  slice: (g, { inputs: [x], attributes: { axis, start, step } }) => {
    if (step > 0) return [unslice(g, axis, start, x.shape[axis], step)];
    const length = g.shape[axis] as number;
    const reversed = apply("slice", [g], { axis, start: length - 1, end: -1, step: -1 });
    const first = (start as number) + (length - 1) * step;
    return [unslice(reversed, axis, first, x.shape[axis], -step)];
  },
  pad: (g, { inputs: [x], attributes: { before } }) => {
    let inner = g;
    for (const [axis, at] of before.entries())
      if (!sameDim(inner.shape[axis], x.shape[axis]))
        inner = slice(inner, axis, at, addDims(at, x.shape[axis]));
    return [inner];
  },
  concat: (g, { inputs, attributes: { axis } }) => {
    let end: Dim = 0;
    return inputs.map((input) => {
      const start: Dim = end;
      end = addDims(start, input.shape[axis]);
      return apply("slice", [g], { axis, start, end, step: 1 });
    });
  },
  gather: (g, { inputs: [data, indices], attributes: { axis } }) => [
    scatterAdd(g, indices, axis, data.shape[axis]),
  ],
  scatterAdd: (g, { inputs: [, indices], attributes: { axis } }) => [gather(g, indices, axis)],

  matmul: (g, { inputs: [a, b] }) => [
    unbroadcast(matmul(g, swapAxes(b, -1, -2)), a.shape),
    matrixWeightGradient(a, g, b),
  ],
  conv: (g, { inputs: [x, weight, bias], attributes }) => [
    convInputGradient(g, weight, x.shape, attributes),
    weightGradient(x, g, weight, attributes),
    ...(bias === undefined ? [] : [sum(g, { axes: [0, 2, 3] })]),
  ],
  convTranspose: (g, { inputs: [x, weight], attributes: { outputPadding: _, ...geometry } }) => [
    apply("conv", [g, weight], geometry),
    weightGradient(g, x, weight, geometry),
  ],
  // Linear in both: the cotangent stands where the weights stood.
  convWeightGradient: (g, { inputs: [x, dy], attributes: { kernel: _, ...geometry } }) => [
    convInputGradient(dy, g, x.shape, geometry),
    apply("conv", [x, g], geometry),
  ],

  softmax: (g, y) => {
    const axes = [y.attributes.axis];
    return [mul(y, sub(g, sum(mul(g, y), { axes, keepDims: true })))];
  },
  logSoftmax: (g, y) => [
    sub(g, mul(exp(y), sum(g, { axes: [y.attributes.axis], keepDims: true }))),
  ],
  layerNorm: (g, { inputs: [x, scale], attributes: { axes: last, eps } }) => {
    // x̂ = (x − μ)/σ, ĝ = g·scale; dx = (ĝ − mean ĝ − x̂·mean(ĝ·x̂))/σ
    const axes = Array.from({ length: last }, (_, i) => x.shape.length - last + i);
    const leading = x.shape.map((_, i) => i).filter((i) => !axes.includes(i));
    const centred = sub(x, mean(x, { axes, keepDims: true }));
    const inverse = div(1, sqrt(add(mean(square(centred), { axes, keepDims: true }), eps)));
    const normalised = mul(centred, inverse);
    const scaled = mul(g, scale);
    const average = mean(scaled, { axes, keepDims: true });
    const slope = mean(mul(scaled, normalised), { axes, keepDims: true });
    return [
      mul(inverse, sub(sub(scaled, average), mul(normalised, slope))),
      sum(mul(g, normalised), { axes: leading }),
      sum(g, { axes: leading }),
    ];
  },
  groupNorm: (g, node) => {
    const { inputs: [x, scale], attributes: { groups } } = node; // prettier-ignore
    const [n, c] = x.shape as [Dim, number];
    const { centred, inverse, size } = groupStatistics(node);
    const factor = perChannel(inverse, c); // [N, C]
    const s1 = channelSum(g); // Σ g over space
    const s2 = mul(channelSum(mul(g, centred)), factor); // Σ g·x̂ over space
    const groupMean = (values: Sym): Sym =>
      div(
        sum(reshape(mul(values, scale), [n, groups, c / groups]), { axes: [2], keepDims: true }),
        size,
      );
    // dx = (ĝ − mean ĝ − x̂·mean(ĝ·x̂))/σ with ĝ = g·scale and x̂ = centred/σ.
    const slope = perChannel(mul(groupMean(s2), neg(square(inverse))), c);
    const offset = perChannel(mul(groupMean(s1), neg(inverse)), c);
    return [
      channelAffine(g, mul(factor, scale), channelAffine(centred, slope, offset)),
      sum(s2, { axes: [0] }),
      sum(s1, { axes: [0] }),
    ];
  },
  channelAffine: (g, { inputs: [x, scale, bias] }) => [
    mul(g, reshape(scale, [...scale.shape, ...x.shape.slice(2).map(() => 1)])),
    channelSum(mul(g, x)),
    bias.shape.length === 2 ? channelSum(g) : g,
  ],
  attention: (g, node) => {
    const [q, k, v, mask] = node.inputs;
    const { scale } = node.attributes;
    const p = attentionProbabilities(q, k, mask, scale); // [B, H, N, M]
    const dp = matmul(g, swapAxes(v, -1, -2));
    const ds = mul(p, sub(dp, sum(mul(dp, p), { axes: [3], keepDims: true })));
    const scores = mul(ds, scale);
    return [
      matmul(scores, k),
      matmul(swapAxes(scores, -1, -2), q),
      matmul(swapAxes(p, -1, -2), g),
      ...(mask === undefined ? [] : [unbroadcast(ds, mask.shape)]),
    ];
  },
  resize: (g, { inputs: [x], attributes: { mode, coordinates } }) => {
    const [n, c, h, w] = x.shape;
    const [tall, wide] = [g.shape[2], g.shape[3]];
    const up = [wholeFactor(tall, h), wholeFactor(wide, w)];
    if (mode === "nearest" && up[0] !== undefined && up[1] !== undefined)
      return [sum(reshape(g, [n, c, h, up[0], w, up[1]]), { axes: [3, 5] })];
    const matrix = (inputs: Dim, outputs: Dim): Sym =>
      constant(
        float32(
          [outputs as number, inputs as number],
          Float32Array.from(
            resizeMatrix(inputs as number, outputs as number, { mode, coordinates }),
          ),
        ),
      );
    // y = A·x·Bᵀ ⇒ dx = Aᵀ·g·B
    return [matmul(matmul(transpose(matrix(h, tall), [1, 0]), g), matrix(w, wide))];
  },
  maxPool: (g, { inputs: [x], attributes: { kernel, strides, pads } }) => {
    // The maximum of shifted slices, later ones losing ties; each slice's share goes back where it came from.
    const padded = pad(x, [0, 0, pads[0], pads[1]], [0, 0, pads[2], pads[3]], LOWEST);
    const views = windowSlices(padded, kernel, strides, [g.shape[2], g.shape[3]]);
    let remaining = g;
    let dx: Sym | undefined;
    const running = views.reduce<Sym[]>(
      (best, view, i) => [...best, i === 0 ? view : maximum(view, best[i - 1])],
      [],
    );
    for (let i = views.length - 1; i >= 0; i--) {
      const wins = i === 0 ? undefined : less(running[i - 1], views[i]);
      const share = wins === undefined ? remaining : where(wins, remaining, 0);
      if (wins !== undefined) remaining = where(wins, 0, remaining);
      const placed = placeWindow(share, padded.shape, i, kernel, strides);
      dx = dx === undefined ? placed : add(dx, placed);
    }
    return [cropPads(dx as Sym, x, pads)];
  },
  averagePool: (g, { inputs: [x], attributes: { kernel, strides, pads, countIncludePad } }) => {
    const padded: Shape = [
      x.shape[0],
      x.shape[1],
      addDims(x.shape[2], pads[0] + pads[2]),
      addDims(x.shape[3], pads[1] + pads[3]),
    ];
    const share = countIncludePad
      ? mul(g, 1 / (kernel[0] * kernel[1]))
      : div(g, windowCounts(x, g, kernel, strides, pads));
    let dx: Sym | undefined;
    for (let i = 0; i < kernel[0] * kernel[1]; i++) {
      const placed = placeWindow(share, padded, i, kernel, strides);
      dx = dx === undefined ? placed : add(dx, placed);
    }
    return [cropPads(dx as Sym, x, pads)];
  },

  after: notDifferentiated,
  dequantize: notDifferentiated,
  dequantizeBlocks: notDifferentiated,
  integerMatmul: notDifferentiated,
  integerConv: notDifferentiated,
  blockMatmul: notDifferentiated,
} as const satisfies { readonly [P in PrimitiveName]: GradientRule<P> };

const LOWEST = -3.4028234663852886e38;

function isFloat(x: Sym): boolean {
  return x.dtype.startsWith("float") || x.dtype === "bfloat16";
}

/** dB of A·B: Aᵀ·g summed over broadcast axes; one flat product where B is a plain matrix. */
function matrixWeightGradient(a: Sym, g: Sym, b: Sym): Sym {
  if (b.shape.length > 2 || a.shape.length === 2)
    return unbroadcast(matmul(swapAxes(a, -1, -2), g), b.shape);
  const rows = sizeOfShape(a.shape.slice(0, -1));
  const flatA = reshape(a, [rows, a.shape.at(-1) as Dim]);
  const flatG = reshape(g, [rows, g.shape.at(-1) as Dim]);
  return matmul(transpose(flatA, [1, 0]), flatG);
}

function wholeFactor(large: Dim, small: Dim): number | undefined {
  if (typeof large === "number" && typeof small === "number")
    return large % small === 0 ? large / small : undefined;
  for (const factor of [1, 2, 4, 8]) if (sameDim(large, multiplyDims(small, factor))) return factor;
  return undefined;
}

/** The kernel·kernel strided views of a padded input, in row-major order of the window. */
function windowSlices(
  x: Sym,
  kernel: readonly [number, number],
  strides: readonly [number, number],
  outputs: readonly [Dim, Dim],
): Sym[] {
  return Array.from({ length: kernel[0] * kernel[1] }, (_, i) => {
    const [row, column] = [Math.floor(i / kernel[1]), i % kernel[1]];
    const endOf = (start: number, output: Dim, stride: number): Dim =>
      addDims(start + 1, multiplyDims(addDims(output, -1), stride));
    const rows = slice(x, 2, row, endOf(row, outputs[0], strides[0]), strides[0]);
    return slice(rows, 3, column, endOf(column, outputs[1], strides[1]), strides[1]);
  });
}

/** Puts window position `i` back into zeros of the padded shape. */
function placeWindow(
  share: Sym,
  padded: Shape,
  i: number,
  kernel: readonly [number, number],
  strides: readonly [number, number],
): Sym {
  const [row, column] = [Math.floor(i / kernel[1]), i % kernel[1]];
  return unslice(unslice(share, 3, column, padded[3], strides[1]), 2, row, padded[2], strides[0]);
}

function cropPads(dx: Sym, x: Sym, pads: readonly [number, number, number, number]): Sym {
  const rows = slice(dx, 2, pads[0], addDims(pads[0], x.shape[2]));
  return slice(rows, 3, pads[1], addDims(pads[1], x.shape[3]));
}

/** How many real elements each window covers, for averages that leave padding out. */
function windowCounts(
  x: Sym,
  g: Sym,
  kernel: readonly [number, number],
  strides: readonly [number, number],
  pads: readonly [number, number, number, number],
): Sym {
  const inside = pad(
    full([1, 1, x.shape[2], x.shape[3]], 1, x.dtype),
    [0, 0, pads[0], pads[1]],
    [0, 0, pads[2], pads[3]],
  );
  return windowSlices(inside, kernel, strides, [g.shape[2], g.shape[3]]).reduce((total, view) =>
    add(total, view),
  );
}
