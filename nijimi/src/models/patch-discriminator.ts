/**
 * The patch discriminator (Isola et al. 2017, arXiv:1611.07004), as taming-transformers' NLayerDiscriminator: one
 * logit for every patch of a picture. Its norms are those of the authors' code, or groups of channels, which do not
 * look at other pictures of the batch.
 */
import { add, div, leakyRelu, mean, mul, reshape, sqrt, square, sub } from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { conv2d, groupNorm } from "../nn/basic.ts";
import { constantInit, normalInit } from "../nn/initializers.ts";
import { type Children, type Layer, module } from "../nn/layer.ts";

export const DISCRIMINATOR_NORMS = ["batch", "act", "group"] as const;
export type DiscriminatorNorm = (typeof DISCRIMINATOR_NORMS)[number];

/** Config of a {@link patchDiscriminator}. */
export interface PatchDiscriminatorConfig {
  /** @default 3 */
  readonly inChannels?: number;
  /** Channels of the first layer. @default 64 */
  readonly channels?: number;
  /** Layers that halve the side. @default 3 */
  readonly layers?: number;
  /** @default "batch" */
  readonly norm?: DiscriminatorNorm;
}

/** How a discriminator is called. */
export interface DiscriminatorMode {
  /** Batch norm by the batch's own statistics instead of the running ones. @default false */
  readonly training?: boolean;
}

const SLOPE = 0.2;
const EPS = 1e-5;
const weightInit = normalInit(0.02);

type Norm = Layer<readonly [Sym, DiscriminatorMode], Sym>;

/** Pictures [N, C, H, W] → logits [N, 1, h, w]: above 0 looks real. Parameters are called `main.0.weight` and so on. */
export function patchDiscriminator({
  inChannels = 3,
  channels = 64,
  layers = 3,
  norm = "batch",
}: PatchDiscriminatorConfig = {}): Layer<readonly [Sym, DiscriminatorMode?], Sym> {
  const widths = Array.from({ length: layers + 1 }, (_, i) => channels * Math.min(2 ** i, 8));
  const convolution = (from: number, to: number, stride: number, bias: boolean) =>
    conv2d(from, to, 4, { stride, padding: 1, bias, init: weightInit });
  const main: Record<string, Children[string]> = {
    0: convolution(inChannels, channels, 2, true),
    [3 * layers + 2]: convolution(widths[layers], 1, 1, true),
  };
  for (let i = 1; i <= layers; i++) {
    // The last of them keeps the side.
    main[3 * i - 1] = convolution(widths[i - 1], widths[i], i < layers ? 2 : 1, norm === "act");
    main[3 * i] = normOf(norm, widths[i]);
  }
  return module(
    { main },
    (m, x: Sym, mode: DiscriminatorMode = {}) => {
      const layer = m.main as unknown as Record<number, (x: Sym, mode?: DiscriminatorMode) => Sym>;
      let h = leakyRelu(layer[0](x), SLOPE);
      for (let i = 1; i <= layers; i++)
        h = leakyRelu(layer[3 * i](layer[3 * i - 1](h), mode), SLOPE);
      return layer[3 * layers + 2](h);
    },
    { kind: "patchDiscriminator" },
  );
}

function normOf(norm: DiscriminatorNorm, channels: number): Norm {
  switch (norm) {
    case "batch":
      return trainableBatchNorm(channels);
    case "act":
      return activationNorm(channels);
    case "group": {
      const layer = groupNorm(Math.min(32, channels), channels);
      return { ...layer, apply: (scope, path, x) => layer.apply(scope, path, x) };
    }
  }
}

/** Batch norm, by running statistics or by those of the batch. Running ones are not kept up to date. */
function trainableBatchNorm(channels: number): Norm {
  const shape = [channels];
  return module(
    {
      weight: { shape, init: normalInit(0.02, 1) },
      bias: { shape, init: constantInit(0) },
      runningMean: { shape, init: constantInit(0), buffer: true },
      runningVar: { shape, init: constantInit(1), buffer: true },
    },
    (m, x: Sym, { training = false }: DiscriminatorMode) => {
      const column = (vector: Sym): Sym => reshape(vector, [1, channels, 1, 1]);
      const reduce = { axes: [0, 2, 3], keepDims: true };
      const center = training ? mean(x, reduce) : column(m.runningMean);
      const centered = sub(x, center);
      const variance = training ? mean(square(centered), reduce) : column(m.runningVar);
      const normal = div(centered, sqrt(add(variance, EPS)));
      return add(mul(normal, column(m.weight)), column(m.bias));
    },
    { kind: "batchNorm" },
  );
}

/** Activation norm (Kingma & Dhariwal 2018, arXiv:1807.03039): scale·(x + loc), both learned per channel. */
function activationNorm(channels: number): Norm {
  const shape = [1, channels, 1, 1];
  return module(
    {
      loc: { shape, init: constantInit(0) },
      scale: { shape, init: constantInit(1) },
    },
    (m, x: Sym) => mul(add(x, m.loc), m.scale),
    { kind: "activationNorm" },
  );
}
