/**
 * Sinusoidal embeddings of timesteps (DDPM, arXiv:2006.11239; after Vaswani et al. 2017) and NCSN++'s Gaussian
 * Fourier features. The published codes differ in order, divisor and scale; every difference is an option.
 */
import { cast, concat, constant, cos, log, mul, pad, reshape, sin } from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { float32 } from "../tensor/tensor.ts";
import { normalInit } from "./initializers.ts";
import { type Layer, module } from "./layer.ts";

/** Options of {@link timestepEmbedding}, by diffusers' names. */
export interface TimestepEmbeddingOptions {
  /** [cos, sin] instead of [sin, cos]. OpenAI's and Stable Diffusion's order. @default false */
  readonly flipSinToCos?: boolean;
  /** The divisor is half − shift: 1 for DDPM, 0 for OpenAI's code and Stable Diffusion. @default 1 */
  readonly downscaleFreqShift?: number;
  /** Multiplies the angles. @default 1 */
  readonly scale?: number;
  /** Longest period. @default 10000 */
  readonly maxPeriod?: number;
}

/** Timesteps [N] (whole or fractional) as features [N, size]: sin and cos of t·maxPeriod^(−i/(half − shift)). */
export function timestepEmbedding(
  t: Sym,
  size: number,
  {
    flipSinToCos = false,
    downscaleFreqShift = 1,
    scale = 1,
    maxPeriod = 10000,
  }: TimestepEmbeddingOptions = {},
): Sym {
  const half = Math.floor(size / 2);
  // Rounded where torch rounds: multiplied by large scales, another last bit is another angle.
  const { fround } = Math;
  const frequencies = Float32Array.from({ length: half }, (_, i) =>
    Math.exp(fround(fround(fround(-Math.log(maxPeriod)) * i) / fround(half - downscaleFreqShift))),
  );
  const column = reshape(cast(t, "float32"), [...t.shape, 1]);
  const angles = mul(mul(column, constant(float32([half], frequencies))), scale);
  const waves = flipSinToCos ? [cos(angles), sin(angles)] : [sin(angles), cos(angles)];
  const features = concat(waves, -1);
  const rank = features.shape.length;
  if (size % 2 === 0) return features;
  return pad(
    features,
    Array.from({ length: rank }, () => 0),
    Array.from({ length: rank }, (_, axis) => (axis === rank - 1 ? 1 : 0)),
  );
}

/** Options of {@link gaussianFourier}. */
export interface GaussianFourierOptions {
  /** Take the logarithm first. @default true */
  readonly log?: boolean;
  /** [cos, sin] instead of [sin, cos]. @default false */
  readonly flipSinToCos?: boolean;
  /** Standard deviation of the frequencies. @default 16 */
  readonly scale?: number;
}

/**
 * Random Fourier features of noise levels: sin and cos of 2πW·log σ, [N] → [N, 2·size].
 * Parameter: weight [size], drawn once from N(0, scale²) and not trained.
 */
export function gaussianFourier(
  size: number,
  { log: takeLog = true, flipSinToCos = false, scale = 16 }: GaussianFourierOptions = {},
): Layer<readonly [Sym], Sym> {
  return module(
    { weight: { shape: [size], init: normalInit(scale), buffer: true } },
    (m, sigma: Sym) => {
      const given = cast(sigma, "float32");
      const level = takeLog ? log(given) : given;
      const angles = mul(
        mul(reshape(level, [...sigma.shape, 1]), reshape(m.weight, [1, -1])),
        2 * Math.PI,
      );
      return concat(flipSinToCos ? [cos(angles), sin(angles)] : [sin(angles), cos(angles)], -1);
    },
    { kind: "gaussianFourier" },
  );
}
