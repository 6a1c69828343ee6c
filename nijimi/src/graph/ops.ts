/**
 * The operations of a trace: free functions from symbolic tensors to symbolic tensors.
 *
 * Numbers are accepted wherever a tensor is and take the other operand's dtype. Broadcasting is NumPy's.
 *
 * @example
 * const y = add(mul(x, 2), 1); // 2x + 1
 */
import { NijimiError } from "../errors.ts";
import type { DType } from "../tensor/dtype.ts";
import { allocate } from "../tensor/dtype.ts";
import { float32, sizeOf, type Tensor, tensor } from "../tensor/tensor.ts";
import {
  type Dim,
  divideExactly,
  multiplyDims,
  type Shape,
  showShape,
  sizeOfShape,
} from "./dim.ts";
import type {
  ConvGeometry,
  PoolGeometry,
  PrimitiveAttributes,
  PrimitiveName,
  ResizeCoordinates,
  Sym,
} from "./primitives.ts";
import { normaliseAxis, SHAPE_RULES } from "./shape-rules.ts";

/** Applies a primitive: the only place where symbolic tensors are made. */
export function apply<P extends PrimitiveName>(
  primitive: P,
  inputs: readonly Sym[],
  attributes: PrimitiveAttributes[P],
): Sym<P> {
  const rule = SHAPE_RULES[primitive] as (
    inputs: readonly Sym[],
    attributes: PrimitiveAttributes[P],
  ) => { shape: Shape; dtype: DType };
  const { shape, dtype } = rule(inputs, attributes);
  return { primitive, inputs, attributes, shape, dtype };
}

// ---- leaves -------------------------------------------------------------------------------------------

/** A parameter of the model, found by its dotted name in the state dict. */
export function parameter(name: string, shape: readonly number[], dtype: DType = "float32"): Sym {
  return apply("parameter", [], { name, shape, dtype });
}

/** A constant from a host tensor. */
export function constant(value: Tensor): Sym {
  return apply("constant", [], { value });
}

/** A constant scalar. @param dtype @default "float32" */
export function scalar(value: number, dtype: DType = "float32"): Sym {
  const data = allocate(dtype, 1);
  if (data instanceof BigInt64Array || data instanceof BigUint64Array) data[0] = BigInt(value);
  else if (dtype === "float16" || dtype === "bfloat16") return cast(scalar(value), dtype);
  else data[0] = value;
  return constant(tensor(dtype, [], data));
}

/** A tensor filled with one number. */
export function full(shape: Shape, value: number, dtype: DType = "float32"): Sym {
  return expand(scalar(value, dtype), shape);
}

/** 0, 1, …, length − 1 as int64. */
export function iota(length: Dim): Sym {
  return typeof length === "number"
    ? constant(
        tensor(
          "int64",
          [length],
          BigInt64Array.from({ length }, (_, i) => BigInt(i)),
        ),
      )
    : apply("iota", [], { length });
}

/** A dimension as an int64 scalar. */
export function dimension(dim: Dim): Sym {
  return typeof dim === "number" ? scalar(dim, "int64") : apply("dimension", [], { dim });
}

// ---- elementwise --------------------------------------------------------------------------------------

type Operand = Sym | number;

function operands(a: Operand, b: Operand): [Sym, Sym] {
  if (typeof a === "number" && typeof b === "number") return [scalar(a), scalar(b)];
  if (typeof a === "number") return [scalar(a, (b as Sym).dtype), b as Sym];
  return [a, typeof b === "number" ? scalar(b, a.dtype) : b];
}

export const add = (a: Operand, b: Operand): Sym => apply("add", operands(a, b), {});
export const sub = (a: Operand, b: Operand): Sym => apply("sub", operands(a, b), {});
export const mul = (a: Operand, b: Operand): Sym => apply("mul", operands(a, b), {});
export const div = (a: Operand, b: Operand): Sym => apply("div", operands(a, b), {});
export const pow = (a: Operand, b: Operand): Sym => apply("pow", operands(a, b), {});
export const maximum = (a: Operand, b: Operand): Sym => apply("max", operands(a, b), {});
export const minimum = (a: Operand, b: Operand): Sym => apply("min", operands(a, b), {});
export const equal = (a: Operand, b: Operand): Sym => apply("equal", operands(a, b), {});
export const less = (a: Operand, b: Operand): Sym => apply("less", operands(a, b), {});
export const lessEqual = (a: Operand, b: Operand): Sym => apply("lessEqual", operands(a, b), {});
export const and = (a: Sym, b: Sym): Sym => apply("and", [a, b], {});
export const or = (a: Sym, b: Sym): Sym => apply("or", [a, b], {});
export const not = (a: Sym): Sym => apply("not", [a], {});

/** `condition ? a : b`, elementwise. */
export function where(condition: Sym, a: Operand, b: Operand): Sym {
  return apply("where", [condition, ...operands(a, b)], {});
}

export const neg = (x: Sym): Sym => apply("neg", [x], {});
export const abs = (x: Sym): Sym => apply("abs", [x], {});
/** −1, 0 or 1. */
export const sign = (x: Sym): Sym => apply("sign", [x], {});
export const exp = (x: Sym): Sym => apply("exp", [x], {});
export const log = (x: Sym): Sym => apply("log", [x], {});
export const sqrt = (x: Sym): Sym => apply("sqrt", [x], {});
export const sin = (x: Sym): Sym => apply("sin", [x], {});
export const cos = (x: Sym): Sym => apply("cos", [x], {});
export const tanh = (x: Sym): Sym => apply("tanh", [x], {});
/** The Gauss error function. */
export const erf = (x: Sym): Sym => apply("erf", [x], {});
export const sigmoid = (x: Sym): Sym => apply("sigmoid", [x], {});
export const floor = (x: Sym): Sym => apply("floor", [x], {});
/** To the nearest whole number, halves to even. */
export const round = (x: Sym): Sym => apply("round", [x], {});
export const square = (x: Sym): Sym => mul(x, x);
/** min(max(x, low), high). */
export const clamp = (x: Sym, low: number, high: number): Sym => minimum(maximum(x, low), high);
export const relu = (x: Sym): Sym => maximum(x, 0);
/** x·σ(x), also called swish. */
export const silu = (x: Sym): Sym => apply("swish", [x], { alpha: 1 });
/** x·σ(1.702 x), the GELU of OpenAI's CLIP. */
export const quickGelu = (x: Sym): Sym => apply("swish", [x], { alpha: 1.702 });
/** x·Φ(x), exactly or by the tanh formula. */
export const gelu = (x: Sym, approximate: "none" | "tanh" = "none"): Sym =>
  apply("gelu", [x], { approximate });
/** log(1 + eˣ), without overflow; written so that the slope at 0 is ½. */
export function softplus(x: Sym): Sym {
  const negative = lessEqual(x, 0);
  const lower = where(negative, x, neg(x)); // −|x|
  return add(where(negative, 0, x), log(add(exp(lower), 1)));
}
/** x where positive, α(eˣ − 1) elsewhere. */
export function elu(x: Sym, alpha = 1): Sym {
  const negative = lessEqual(x, 0);
  return where(negative, mul(sub(exp(where(negative, x, 0)), 1), alpha), x);
}
/** x where positive, slope·x elsewhere. */
export const leakyRelu = (x: Sym, slope = 0.01): Sym => where(less(0, x), x, mul(x, slope));
/** x·tanh(softplus(x)). */
export const mish = (x: Sym): Sym => mul(x, tanh(softplus(x)));

/** Conversion to another dtype; truncates towards zero when that is an integer. */
export function cast(x: Sym, dtype: DType): Sym {
  return x.dtype === dtype ? x : apply("cast", [x], { dtype });
}

/** x in the forward pass, a constant for gradients. */
export const stopGradient = (x: Sym): Sym => apply("stopGradient", [x], {});

// ---- reductions ---------------------------------------------------------------------------------------

/** Which axes to reduce, and whether they stay with size 1. */
export interface ReduceOptions {
  /** @default all axes */
  readonly axes?: readonly number[];
  /** @default false */
  readonly keepDims?: boolean;
}

function reduceAttributes(name: string, x: Sym, { axes, keepDims = false }: ReduceOptions) {
  const all = axes ?? x.shape.map((_, i) => i);
  return { axes: all.map((axis) => normaliseAxis(name, axis, x)).sort((a, b) => a - b), keepDims };
}

export const sum = (x: Sym, options: ReduceOptions = {}): Sym =>
  apply("sum", [x], reduceAttributes("sum", x, options));
/** Sum of x². */
export const sumSquares = (x: Sym, options: ReduceOptions = {}): Sym =>
  apply("sumSquares", [x], reduceAttributes("sumSquares", x, options));
export const mean = (x: Sym, options: ReduceOptions = {}): Sym =>
  apply("mean", [x], reduceAttributes("mean", x, options));
export const reduceMax = (x: Sym, options: ReduceOptions = {}): Sym =>
  apply("reduceMax", [x], reduceAttributes("reduceMax", x, options));
/** Index of the largest element, the first of equals; int64, without the axis. */
export const argMax = (x: Sym, axis = -1): Sym =>
  apply("argMax", [x], { axis: normaliseAxis("argMax", axis, x) });
/** Running sum along an axis. */
export const cumSum = (x: Sym, axis: number): Sym =>
  apply("cumSum", [x], { axis: normaliseAxis("cumSum", axis, x), reverse: false });

// ---- layout -------------------------------------------------------------------------------------------

/** The same elements in another shape; one dimension may be −1 and is worked out. */
export function reshape(x: Sym, shape: Shape): Sym {
  const at = shape.indexOf(-1);
  if (at < 0) return apply("reshape", [x], { shape });
  const known = sizeOfShape(shape.filter((_, i) => i !== at));
  const rest = divideExactly(sizeOfShape(x.shape), known);
  if (rest === undefined)
    throw new NijimiError(
      "shape",
      `reshape: ${showShape(x.shape)} does not divide into ${showShape(shape)}.`,
    );
  return apply("reshape", [x], { shape: shape.map((dim, i) => (i === at ? rest : dim)) });
}

/** Axes in another order: `transpose(x, [0, 2, 1])`. */
export const transpose = (x: Sym, permutation: readonly number[]): Sym =>
  apply("transpose", [x], { permutation });

/** Swaps two axes. */
export function swapAxes(x: Sym, a: number, b: number): Sym {
  const [i, j] = [normaliseAxis("swapAxes", a, x), normaliseAxis("swapAxes", b, x)];
  return transpose(
    x,
    x.shape.map((_, axis) => (axis === i ? j : axis === j ? i : axis)),
  );
}

/** Broadcasts to a shape. */
export const expand = (x: Sym, shape: Shape): Sym => apply("expand", [x], { shape });

/** Inserts an axis of size 1. */
export function unsqueeze(x: Sym, axis: number): Sym {
  const at = axis < 0 ? axis + x.shape.length + 1 : axis;
  return reshape(x, [...x.shape.slice(0, at), 1, ...x.shape.slice(at)]);
}

/** Elements `start … end − 1` along an axis, every `step`-th. Negative numbers count from the end. */
export function slice(x: Sym, axis: number, start: Dim, end: Dim, step = 1): Sym {
  const at = normaliseAxis("slice", axis, x);
  const fromEnd = (bound: Dim): Dim =>
    typeof bound === "number" && bound < 0 && typeof x.shape[at] === "number"
      ? x.shape[at] + bound
      : bound;
  return apply("slice", [x], { axis: at, start: fromEnd(start), end: fromEnd(end), step });
}

/** One element along an axis, which is dropped. */
export function select(x: Sym, axis: number, index: number): Sym {
  const at = normaliseAxis("select", axis, x);
  const from = index < 0 ? (x.shape[at] as number) + index : index;
  return reshape(
    slice(x, at, from, from + 1),
    x.shape.filter((_, i) => i !== at),
  );
}

/** Reverses an axis. */
export function flip(x: Sym, axis: number): Sym {
  const at = normaliseAxis("flip", axis, x);
  const size = x.shape[at];
  if (typeof size !== "number")
    throw new NijimiError(
      "shape",
      `flip: axis ${axis} of ${showShape(x.shape)} needs a fixed size.`,
    );
  return apply("slice", [x], { axis: at, start: size - 1, end: -1, step: -1 });
}

/** Cuts an axis into parts of the given sizes. */
export function split(x: Sym, axis: number, sizes: readonly number[]): Sym[] {
  let start = 0;
  return sizes.map((size) => {
    start += size;
    return slice(x, axis, start - size, start);
  });
}

/** Cuts an axis into `parts` equal parts. */
export function chunk(x: Sym, axis: number, parts: number): Sym[] {
  const size = x.shape[normaliseAxis("chunk", axis, x)];
  if (typeof size !== "number" || size % parts !== 0)
    throw new NijimiError(
      "shape",
      `chunk: axis ${axis} of ${showShape(x.shape)} does not divide into ${parts} parts.`,
    );
  return split(
    x,
    axis,
    Array.from({ length: parts }, () => size / parts),
  );
}

/** Pads with a constant: `before[i]` and `after[i]` elements on axis i. @param value @default 0 */
export const pad = (x: Sym, before: readonly number[], after: readonly number[], value = 0): Sym =>
  apply("pad", [x], { before, after, value });

/** Joins along an axis. */
export function concat(inputs: readonly Sym[], axis: number): Sym {
  if (inputs.length === 0)
    throw new NijimiError("shape", "concat: got no inputs; expected at least one.");
  return inputs.length === 1
    ? inputs[0]
    : apply("concat", inputs, { axis: normaliseAxis("concat", axis, inputs[0]) });
}

/** Joins along a new axis. */
export const stack = (inputs: readonly Sym[], axis = 0): Sym =>
  concat(
    inputs.map((input) => unsqueeze(input, axis)),
    axis,
  );

/** Elements of `data` at int64 `indices` along an axis, which the indices' shape replaces: an embedding lookup for axis 0. */
export const gather = (data: Sym, indices: Sym, axis = 0): Sym =>
  apply("gather", [data, indices], { axis: normaliseAxis("gather", axis, data) });

/** Zeros of size `size` along `axis` to which `updates` are added at `indices`: the transpose of gather. */
export const scatterAdd = (updates: Sym, indices: Sym, axis: number, size: Dim): Sym =>
  apply("scatterAdd", [updates, indices], { axis, size });

// ---- linear -------------------------------------------------------------------------------------------

/** Batched matrix product [..., M, K] × [..., K, N]. */
export const matmul = (a: Sym, b: Sym): Sym => apply("matmul", [a, b], {});

type Pair = number | readonly [number, number];
const pair = (value: Pair): readonly [number, number] =>
  typeof value === "number" ? [value, value] : value;

/** Padding: one number, [vertical, horizontal] or [top, left, bottom, right]. */
export type Padding =
  | number
  | readonly [number, number]
  | readonly [number, number, number, number];

function pads(padding: Padding): readonly [number, number, number, number] {
  if (typeof padding === "number") return [padding, padding, padding, padding];
  return padding.length === 4 ? padding : [padding[0], padding[1], padding[0], padding[1]];
}

/** Options of a two-dimensional convolution, as torch names them. */
export interface Conv2dOptions {
  /** @default 1 */
  readonly stride?: Pair;
  /** @default 0 */
  readonly padding?: Padding;
  /** @default 1 */
  readonly dilation?: Pair;
  /** @default 1 */
  readonly groups?: number;
}

/** The geometry that {@link Conv2dOptions} describe. */
export function convGeometry({
  stride = 1,
  padding = 0,
  dilation = 1,
  groups = 1,
}: Conv2dOptions): ConvGeometry {
  return { strides: pair(stride), pads: pads(padding), dilations: pair(dilation), groups };
}

/** Adds a bias [C] to [N, C, …]. */
function addChannelBias(y: Sym, bias: Sym | undefined): Sym {
  return bias === undefined ? y : add(y, reshape(bias, [1, -1, ...y.shape.slice(2).map(() => 1)]));
}

/** Two-dimensional convolution: x [N, C, H, W], weight [O, C/groups, kh, kw], bias [O]. */
export function conv2d(x: Sym, weight: Sym, bias?: Sym, options: Conv2dOptions = {}): Sym {
  return apply("conv", bias === undefined ? [x, weight] : [x, weight, bias], convGeometry(options));
}

/** Transposed convolution: x [N, C, H, W], weight [C, O/groups, kh, kw], bias [O]. */
export function convTranspose2d(
  x: Sym,
  weight: Sym,
  bias?: Sym,
  options: Conv2dOptions & { readonly outputPadding?: Pair } = {},
): Sym {
  const attributes = { ...convGeometry(options), outputPadding: pair(options.outputPadding ?? 0) };
  return addChannelBias(apply("convTranspose", [x, weight], attributes), bias);
}

/** One-dimensional convolution: x [N, C, L], weight [O, C/groups, k], bias [O]. */
export function conv1d(
  x: Sym,
  weight: Sym,
  bias?: Sym,
  {
    stride = 1,
    padding = 0,
    dilation = 1,
    groups = 1,
  }: {
    readonly stride?: number;
    readonly padding?: number;
    readonly dilation?: number;
    readonly groups?: number;
  } = {},
): Sym {
  const y = conv2d(unsqueeze(x, 2), unsqueeze(weight, 2), bias, {
    stride: [1, stride],
    padding: [0, padding],
    dilation: [1, dilation],
    groups,
  });
  return reshape(y, [y.shape[0], y.shape[1], y.shape[3]]);
}

// ---- networks -----------------------------------------------------------------------------------------

export const softmax = (x: Sym, axis = -1): Sym =>
  apply("softmax", [x], { axis: normaliseAxis("softmax", axis, x) });
export const logSoftmax = (x: Sym, axis = -1): Sym =>
  apply("logSoftmax", [x], { axis: normaliseAxis("logSoftmax", axis, x) });

function ones(shape: readonly number[]): Sym {
  return constant(float32(shape, new Float32Array(sizeOf(shape)).fill(1)));
}
function zero(shape: readonly number[]): Sym {
  return constant(float32(shape, new Float32Array(sizeOf(shape))));
}

/** Normalisation over the last axes with learned scale and bias. @param options.axes how many axes @default scale's rank, or 1 */
export function layerNorm(
  x: Sym,
  scale?: Sym,
  bias?: Sym,
  {
    eps = 1e-5,
    axes = scale?.shape.length ?? 1,
  }: { readonly eps?: number; readonly axes?: number } = {},
): Sym {
  const tail = x.shape.slice(x.shape.length - axes) as readonly number[];
  return apply("layerNorm", [x, scale ?? ones(tail), bias ?? zero(tail)], { axes, eps });
}

/** Normalisation of groups of channels: x [N, C, …], scale [C], bias [C]. */
export function groupNorm(
  x: Sym,
  groups: number,
  scale?: Sym,
  bias?: Sym,
  { eps = 1e-5 }: { readonly eps?: number } = {},
): Sym {
  const channels = [x.shape[1] as number];
  return apply("groupNorm", [x, scale ?? ones(channels), bias ?? zero(channels)], { groups, eps });
}

/** x·scale + bias for each sample and channel: x [N, C, …], scale [N, C], bias [N, C] or of x's shape. */
export const channelAffine = (x: Sym, scale: Sym, bias: Sym): Sym =>
  apply("channelAffine", [x, scale, bias], {});

/** x / √(mean(x²) + eps) · scale over the last axis (T5's layer norm). */
export function rmsNorm(x: Sym, scale?: Sym, { eps = 1e-6 }: { readonly eps?: number } = {}): Sym {
  const normalised = div(x, sqrt(add(mean(square(x), { axes: [-1], keepDims: true }), eps)));
  return scale === undefined ? normalised : mul(normalised, scale);
}

/** Options of {@link attention}. */
export interface AttentionOptions {
  /** Broadcast to [B, H, N, M]. Boolean: true = attend. Otherwise added to the scores. */
  readonly mask?: Sym;
  /** Each position attends to itself and those before it. @default false */
  readonly causal?: boolean;
  /** @default 1/√D */
  readonly scale?: number;
}

/** What a forbidden position's score is lowered by: large, yet finite in every dtype's exponent. */
const MASKED = -1e9;

/** Scaled dot-product attention: q [B, H, N, D], k [B, H, M, D], v [B, H, M, E] → [B, H, N, E]. */
export function attention(
  q: Sym,
  k: Sym,
  v: Sym,
  { mask, causal = false, scale }: AttentionOptions = {},
): Sym {
  const masks: Sym[] = [];
  if (mask !== undefined)
    masks.push(mask.dtype === "bool" ? where(mask, scalar(0), scalar(MASKED)) : mask);
  if (causal) masks.push(causalMask(q.shape[2], k.shape[2]));
  const additive = masks.length === 2 ? [add(masks[0], masks[1])] : masks;
  return apply("attention", [q, k, v, ...additive], {
    scale: scale ?? 1 / Math.sqrt(q.shape[3] as number),
  });
}

/** Additive causal mask [N, M]: 0 where the column is at or before the row, a large negative number elsewhere. */
export function causalMask(rows: Dim, columns: Dim): Sym {
  const row = reshape(iota(rows), [rows, 1]);
  const column = reshape(iota(columns), [1, columns]);
  return where(lessEqual(column, row), scalar(0), scalar(MASKED));
}

/** Resize of [N, C, H, W] by interpolation; `nn/resize.ts` has the forms with torch's names. */
export const resize = (
  x: Sym,
  size: readonly [Dim, Dim],
  mode: "nearest" | "linear" | "cubic",
  coordinates: ResizeCoordinates,
): Sym => apply("resize", [x], { size, mode, coordinates });

/** Nearest-neighbour enlargement by whole factors. */
export function upsampleNearest(x: Sym, factor: Pair = 2): Sym {
  const [vertical, horizontal] = pair(factor);
  return resize(
    x,
    [multiplyDims(x.shape[2], vertical), multiplyDims(x.shape[3], horizontal)],
    "nearest",
    "asymmetric",
  );
}

/** Options of a pooling window. */
export interface Pool2dOptions {
  /** @default the kernel's size */
  readonly stride?: Pair;
  /** @default 0 */
  readonly padding?: Padding;
}

function poolGeometry(kernel: Pair, { stride = kernel, padding = 0 }: Pool2dOptions): PoolGeometry {
  return { kernel: pair(kernel), strides: pair(stride), pads: pads(padding) };
}

export const maxPool2d = (x: Sym, kernel: Pair, options: Pool2dOptions = {}): Sym =>
  apply("maxPool", [x], poolGeometry(kernel, options));

/** @param options.countIncludePad whether padding counts in the average @default true, as torch's */
export const averagePool2d = (
  x: Sym,
  kernel: Pair,
  options: Pool2dOptions & { readonly countIncludePad?: boolean } = {},
): Sym =>
  apply("averagePool", [x], {
    ...poolGeometry(kernel, options),
    countIncludePad: options.countIncludePad ?? true,
  });
