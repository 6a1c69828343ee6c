/**
 * The closed set of primitives of a trace, with the attributes of each.
 *
 * Everything a network, a loss or an optimiser computes is made of these. Four rule tables say what each
 * means: its shape (`shape-rules.ts`), its gradient (`gradient-rules.ts`), its folding on constants
 * (`fold.ts`) and its ONNX form (`onnx/rules/`). The compiler checks that every table is complete.
 */
import type { DType } from "../tensor/dtype.ts";
import type { Tensor } from "../tensor/tensor.ts";
import type { Dim, Shape } from "./dim.ts";

/** Spatial geometry of a two-dimensional convolution. Pads are [top, left, bottom, right]. */
export interface ConvGeometry {
  readonly strides: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
  readonly dilations: readonly [number, number];
  readonly groups: number;
}

/** Geometry of a pooling window. Pads are [top, left, bottom, right]. */
export interface PoolGeometry {
  readonly kernel: readonly [number, number];
  readonly strides: readonly [number, number];
  readonly pads: readonly [number, number, number, number];
}

/** How a resize maps an output coordinate to the input. */
export type ResizeCoordinates = "asymmetric" | "half_pixel" | "align_corners";

type None = Readonly<Record<never, never>>;
/** Axes to reduce, in order, and whether they stay with size 1. */
export interface Reduction {
  readonly axes: readonly number[];
  readonly keepDims: boolean;
}

/** Attributes of every primitive. Shapes in comments: inputs → output. */
export interface PrimitiveAttributes {
  // leaves
  input: { readonly name: string; readonly dtype: DType; readonly shape: Shape };
  parameter: { readonly name: string; readonly dtype: DType; readonly shape: readonly number[] };
  constant: { readonly value: Tensor };
  dimension: { readonly dim: Dim }; // → int64 scalar: a dimension as a value
  iota: { readonly length: Dim }; // → int64 [length]: 0, 1, 2, …
  // elementwise, one input
  neg: None;
  abs: None;
  sign: None;
  exp: None;
  log: None;
  sqrt: None;
  sin: None;
  cos: None;
  tanh: None;
  erf: None;
  sigmoid: None;
  floor: None;
  round: None; // half to even
  not: None;
  swish: { readonly alpha: number }; // x·σ(αx): SiLU for α = 1, quick GELU for α = 1.702
  gelu: { readonly approximate: "none" | "tanh" };
  cast: { readonly dtype: DType };
  stopGradient: None;
  // elementwise, two inputs, broadcast as NumPy does
  add: None;
  sub: None;
  mul: None;
  div: None;
  pow: None;
  max: None;
  min: None;
  equal: None;
  less: None;
  lessEqual: None;
  and: None;
  or: None;
  where: None; // condition, a, b
  // reductions
  sum: Reduction;
  sumSquares: Reduction;
  mean: Reduction;
  reduceMax: Reduction;
  argMax: { readonly axis: number }; // → int64, axis dropped, first of equals
  cumSum: { readonly axis: number; readonly reverse: boolean };
  // layout
  reshape: { readonly shape: Shape };
  transpose: { readonly permutation: readonly number[] };
  expand: { readonly shape: Shape };
  slice: { readonly axis: number; readonly start: Dim; readonly end: Dim; readonly step: number };
  pad: {
    readonly before: readonly number[];
    readonly after: readonly number[];
    readonly value: number;
  };
  concat: { readonly axis: number };
  gather: { readonly axis: number }; // data, int64 indices
  scatterAdd: { readonly axis: number; readonly size: Dim }; // updates, indices → zeros with updates added: gather's transpose
  // linear
  matmul: None; // [..., M, K] × [..., K, N]
  conv: ConvGeometry; // [N, C, H, W] × [O, C/groups, kh, kw] (+ [O])
  convTranspose: ConvGeometry & { readonly outputPadding: readonly [Dim, Dim] }; // [N, C, H, W] × [C, O/groups, kh, kw]
  convWeightGradient: ConvGeometry & { readonly kernel: readonly [number, number] }; // x, dy → dw
  // networks
  softmax: { readonly axis: number };
  logSoftmax: { readonly axis: number };
  layerNorm: { readonly axes: number; readonly eps: number }; // over the last `axes` axes: x, scale, bias
  groupNorm: { readonly groups: number; readonly eps: number }; // x [N, C, ...], scale [C], bias [C]
  channelAffine: None; // x [N, C, ...], scale [N, C], bias [N, C] or as x → x·scale + bias
  attention: { readonly scale: number }; // q [B, H, N, D], k [B, H, M, D], v [B, H, M, E] (, additive mask) → [B, H, N, E]
  resize: {
    readonly mode: "nearest" | "linear" | "cubic";
    readonly coordinates: ResizeCoordinates;
    readonly size: readonly [Dim, Dim];
  };
  maxPool: PoolGeometry;
  averagePool: PoolGeometry & { readonly countIncludePad: boolean };
  // quantised weights; made by `quantizeWeights` when gradients are taken already
  after: None; // weight, x → the weight, not before x is there
  dequantize: { readonly axis: number }; // int8 values, scale along the axis → float32
  dequantizeBlocks: WeightBlocks & { readonly depth: number }; // uint8 [N, blocks, bytes], scale [N, blocks] → float32 [N, depth]
  integerMatmul: None; // x [..., K], int8 [K, N], scale [N] (, bias [N]) → [..., N]
  integerConv: None; // x [N, C, H, W], pixels int64 [H', W', T], int8 [T·C, O], scale [O] (, bias [O]) → [N, O, H', W']
  blockMatmul: WeightBlocks; // x [..., K], uint8 [N, blocks, bytes], scale [N, blocks] → [..., N]
}

/** Numbers of one row that share a scale, and how many bits each has. */
export interface WeightBlocks {
  readonly bits: 4 | 8;
  readonly blockSize: number;
}

export type PrimitiveName = keyof PrimitiveAttributes;

/**
 * A symbolic tensor: one node of a trace. Immutable; identity is the object itself.
 * Made by the functions of `ops.ts`, never by hand.
 */
export interface Sym<P extends PrimitiveName = PrimitiveName> {
  readonly primitive: P;
  readonly inputs: readonly Sym[];
  readonly attributes: PrimitiveAttributes[P];
  readonly shape: Shape;
  readonly dtype: DType;
}

/** A table with one entry per primitive, each typed by its own attributes. */
export type RuleTable<Rule extends { [P in PrimitiveName]: unknown }> = {
  readonly [P in PrimitiveName]: Rule[P];
};

export function isPrimitive<P extends PrimitiveName>(sym: Sym, primitive: P): sym is Sym<P> {
  return sym.primitive === primitive;
}
