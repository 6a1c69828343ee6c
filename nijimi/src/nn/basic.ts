/** Layers with parameters of their own: linear, convolutions, norms, embedding. Names and defaults are torch's. */
import { NijimiError } from "../errors.ts";
import {
  type Conv2dOptions,
  conv1d as conv1dOp,
  conv2d as conv2dOp,
  convTranspose2d as convTranspose2dOp,
  add,
  div,
  gather,
  groupNorm as groupNormOp,
  layerNorm as layerNormOp,
  matmul,
  mul,
  reshape,
  rmsNorm as rmsNormOp,
  sqrt,
  sub,
  transpose,
} from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { constantInit, type Initializer, normalInit, torchUniform } from "./initializers.ts";
import { type Layer, module, type ParameterSpec } from "./layer.ts";

/** A layer from one tensor to another. */
export type UnaryLayer = Layer<readonly [Sym], Sym>;

/** Options that most layers share. */
export interface WeightOptions {
  /** @default true */
  readonly bias?: boolean;
  /** @default torch's: U(±1/√fanIn) */
  readonly init?: Initializer;
  /** @default torch's: U(±1/√fanIn) */
  readonly biasInit?: Initializer;
}

const optional = (wanted: boolean, spec: ParameterSpec): ParameterSpec | undefined =>
  wanted ? spec : undefined;

/** y = x·Wᵀ + b over the last axis. Parameters: weight [out, in], bias [out]. */
export function linear(
  inputs: number,
  outputs: number,
  { bias = true, init, biasInit }: WeightOptions = {},
): UnaryLayer {
  return module(
    {
      weight: { shape: [outputs, inputs], init: init ?? torchUniform(inputs) },
      bias: optional(bias, { shape: [outputs], init: biasInit ?? torchUniform(inputs) }),
    },
    (m, x: Sym) => {
      const y = matmul(x, transpose(m.weight, [1, 0]));
      return m.bias === undefined ? y : add(y, m.bias);
    },
    { kind: "linear" },
  );
}

/** Two-dimensional convolution of [N, C, H, W]. Parameters: weight [out, in/groups, k, k], bias [out]. */
export function conv2d(
  inputs: number,
  outputs: number,
  kernel: number | readonly [number, number],
  { bias = true, init, biasInit, ...geometry }: WeightOptions & Conv2dOptions = {},
): UnaryLayer {
  const [height, width] = typeof kernel === "number" ? [kernel, kernel] : kernel;
  const perGroup = inputs / (geometry.groups ?? 1);
  const fanIn = perGroup * height * width;
  return module(
    {
      weight: { shape: [outputs, perGroup, height, width], init: init ?? torchUniform(fanIn) },
      bias: optional(bias, { shape: [outputs], init: biasInit ?? torchUniform(fanIn) }),
    },
    (m, x: Sym) => conv2dOp(x, m.weight, m.bias, geometry),
    { kind: "conv2d" },
  );
}

/** One-dimensional convolution of [N, C, L]. Parameters: weight [out, in/groups, k], bias [out]. */
export function conv1d(
  inputs: number,
  outputs: number,
  kernel: number,
  {
    bias = true,
    init,
    biasInit,
    ...geometry
  }: WeightOptions & {
    readonly stride?: number;
    readonly padding?: number;
    readonly dilation?: number;
    readonly groups?: number;
  } = {},
): UnaryLayer {
  const perGroup = inputs / (geometry.groups ?? 1);
  return module(
    {
      weight: { shape: [outputs, perGroup, kernel], init: init ?? torchUniform(perGroup * kernel) },
      bias: optional(bias, { shape: [outputs], init: biasInit ?? torchUniform(perGroup * kernel) }),
    },
    (m, x: Sym) => conv1dOp(x, m.weight, m.bias, geometry),
    { kind: "conv1d" },
  );
}

/** Transposed convolution of [N, C, H, W]. Parameters: weight [in, out/groups, k, k], bias [out]. */
export function convTranspose2d(
  inputs: number,
  outputs: number,
  kernel: number,
  {
    bias = true,
    init,
    biasInit,
    ...geometry
  }: WeightOptions & Conv2dOptions & { readonly outputPadding?: number } = {},
): UnaryLayer {
  const perGroup = outputs / (geometry.groups ?? 1);
  const fanIn = perGroup * kernel * kernel; // torch counts the second axis
  return module(
    {
      weight: { shape: [inputs, perGroup, kernel, kernel], init: init ?? torchUniform(fanIn) },
      bias: optional(bias, { shape: [outputs], init: biasInit ?? torchUniform(fanIn) }),
    },
    (m, x: Sym) => convTranspose2dOp(x, m.weight, m.bias, geometry),
    { kind: "convTranspose2d" },
  );
}

/** Options of a norm. */
export interface NormOptions {
  readonly eps?: number;
  /** Learned scale and bias. @default true */
  readonly affine?: boolean;
  /** Learned bias beside the scale. @default true */
  readonly bias?: boolean;
}

/** Scale and bias of a norm over `shape`, as far as wanted. */
function affineParameters(shape: readonly number[], { affine = true, bias = true }: NormOptions) {
  return {
    weight: optional(affine, { shape, init: constantInit(1) }),
    bias: optional(affine && bias, { shape, init: constantInit(0) }),
  };
}

/** Group norm over [N, C, …]; eps @default 1e-5. Its forward refuses groups that do not divide the channels. */
export function groupNorm(groups: number, channels: number, options: NormOptions = {}): UnaryLayer {
  return module(
    affineParameters([channels], options),
    (m, x: Sym) => {
      if (channels % groups !== 0)
        throw new NijimiError(
          "option",
          `Group norm: ${channels} channels and ${groups} groups; expected a number of groups that divides the channels.`,
        );
      return groupNormOp(x, groups, m.weight, m.bias, { eps: options.eps ?? 1e-5 });
    },
    { kind: "groupNorm" },
  );
}

/** Instance norm over [N, C, …]: a group per channel; not affine by default, as torch's. */
export function instanceNorm(channels: number, options: NormOptions = {}): UnaryLayer {
  return groupNorm(channels, channels, { affine: false, ...options });
}

/** Layer norm over the last axis; eps @default 1e-5. */
export function layerNorm(size: number, options: NormOptions = {}): UnaryLayer {
  return module(
    affineParameters([size], options),
    (m, x: Sym) => layerNormOp(x, m.weight, m.bias, { eps: options.eps ?? 1e-5 }),
    { kind: "layerNorm" },
  );
}

/** RMS norm over the last axis; eps @default 1e-6. */
export function rmsNorm(size: number, { eps = 1e-6, affine = true }: NormOptions = {}): UnaryLayer {
  return module(
    { weight: optional(affine, { shape: [size], init: constantInit(1) }) },
    (m, x: Sym) => rmsNormOp(x, m.weight, { eps }),
    { kind: "rmsNorm" },
  );
}

/** Batch norm of [N, C, …] with running statistics (inference); eps @default 1e-5. */
export function batchNorm(
  channels: number,
  { eps = 1e-5, affine = true }: NormOptions = {},
): UnaryLayer {
  const shape = [channels];
  return module(
    {
      ...affineParameters(shape, { affine }),
      runningMean: { shape, init: constantInit(0), buffer: true },
      runningVar: { shape, init: constantInit(1), buffer: true },
    },
    (m, x: Sym) => {
      const spread = (vector: Sym): Sym =>
        reshape(vector, [1, -1, ...x.shape.slice(2).map(() => 1)]);
      const inverse = div(1, sqrt(add(m.runningVar, eps)));
      const gain = m.weight === undefined ? inverse : mul(inverse, m.weight);
      const shift =
        m.bias === undefined ? mul(m.runningMean, gain) : sub(mul(m.runningMean, gain), m.bias);
      return sub(mul(x, spread(gain)), spread(shift));
    },
    { kind: "batchNorm" },
  );
}

/** Rows of a table by int64 index. Parameters: weight [count, size]; N(0, 1) at first. */
export function embedding(
  count: number,
  size: number,
  { init = normalInit(1) }: { readonly init?: Initializer } = {},
): UnaryLayer {
  return module(
    { weight: { shape: [count, size], init } },
    (m, indices: Sym) => gather(m.weight, indices, 0),
    { kind: "embedding" },
  );
}

/** The input itself, where a layer is expected. */
export const identity: UnaryLayer = {
  kind: "identity",
  parameters: {},
  apply: (_scope, _path, x) => x,
};
