/**
 * Bits per dimension: −log₂ of the model's probability of an 8-bit image, per colour value. Two kinds of bound are
 * reported and kept apart: the variational one (DDPM, Improved DDPM) and that of the probability-flow ODE (Song et
 * al. 2021, arXiv 2011.13456, which dequantises uniformly).
 */
import { NijimiError } from "../errors.ts";
import type { StreamingMetric } from "./streaming.ts";

/** Nats of a whole image as bits per dimension. */
export function bitsPerDimension(nats: number, dimensions: number): number {
  return nats / (dimensions * Math.LN2);
}

/**
 * Bits per dimension of a log-density over images that were scaled from `levels` whole numbers to an interval of
 * width `range`: −log₂ p(x) / D + log₂(levels / range).
 *
 * @param logDensity nats of the scaled, dequantised image
 * @param options.levels @default 256
 * @param options.range @default 2, for images in [−1, 1]
 */
export function bitsPerDimensionOfDensity(
  logDensity: number,
  dimensions: number,
  { levels = 256, range = 2 }: { readonly levels?: number; readonly range?: number } = {},
): number {
  return bitsPerDimension(-logDensity, dimensions) + Math.log2(levels / range);
}

/** The variational bound of one image, in bits per dimension. */
export interface VariationalTerms {
  /** By timestep: t = 0 is the decoder's term, the others are KL divergences. */
  readonly steps: ArrayLike<number>;
  /** KL of q(x_T | x₀) from the prior. */
  readonly prior: number;
}

export interface VariationalState {
  count: number;
  prior: number;
  /** Sum over images, by timestep. */
  steps: Float64Array;
  total: number;
  totalSquared: number;
}

export interface VariationalBound {
  /** Bits per dimension: the sum of all terms, averaged over images. */
  readonly total: number;
  /** Standard error of `total` over images. */
  readonly standardError: number;
  readonly prior: number;
  /** Average of each timestep's term. */
  readonly steps: Float64Array;
  readonly count: number;
}

/** Averages the variational bounds of images, streaming. */
export function variationalBound(
  timesteps: number,
): StreamingMetric<VariationalTerms, VariationalState, VariationalBound> {
  return {
    start: () => ({
      count: 0,
      prior: 0,
      steps: new Float64Array(timesteps),
      total: 0,
      totalSquared: 0,
    }),
    add: (state, { steps, prior }) => {
      if (steps.length !== timesteps)
        throw new NijimiError(
          "shape",
          `variationalBound: got ${steps.length} terms; expected ${timesteps}.`,
        );
      let total = prior;
      for (let t = 0; t < timesteps; t++) {
        state.steps[t] += steps[t];
        total += steps[t];
      }
      if (!Number.isFinite(total))
        throw new NijimiError(
          "numeric",
          `variationalBound: the terms of an image sum to ${total}.`,
        );
      state.count++;
      state.prior += prior;
      state.total += total;
      state.totalSquared += total * total;
      return state;
    },
    merge: (a, b) => ({
      count: a.count + b.count,
      prior: a.prior + b.prior,
      steps: a.steps.map((sum, t) => sum + b.steps[t]),
      total: a.total + b.total,
      totalSquared: a.totalSquared + b.totalSquared,
    }),
    finish: ({ count, prior, steps, total, totalSquared }) => {
      const variance = Math.max(0, (totalSquared - total ** 2 / count) / (count - 1));
      return {
        total: total / count,
        standardError: Math.sqrt(variance / count),
        prior: prior / count,
        steps: steps.map((sum) => sum / count),
        count,
      };
    },
  };
}
