/**
 * A distribution whose denoiser is known in closed form: every element of x0 is drawn independently
 * from a one-dimensional mixture of Gaussians of equal width. For tests of samplers, plots and
 * lessons.
 */
import { NijimiError } from "../../errors.ts";
import { levelOf } from "./space.ts";
import type { Denoiser, Space } from "./types.ts";

/** A mixture. */
export interface GaussianMixture {
  readonly means: readonly number[];
  /** Probabilities of the components. @default equal */
  readonly weights?: readonly number[];
  /** Standard deviation of every component. */
  readonly std: number;
}

/**
 * The exact denoiser E[x0 | x] of a mixture, for states of a space.
 *
 * @example
 * const denoise = mixtureDenoiser({ means: [-1, 1], std: 0.2 });
 */
export function mixtureDenoiser(mixture: GaussianMixture, space: Space = "ve"): Denoiser {
  const { means, std } = mixture;
  const logWeights = componentWeights(mixture).map(Math.log);
  return (x, sigma) => {
    const { alpha, std: noise } = levelOf(space, sigma);
    const variance = alpha ** 2 * std ** 2 + noise ** 2;
    const pull = (alpha * std ** 2) / variance;
    const logs = new Float64Array(means.length);
    const data = x.data.map((value) => {
      means.forEach(
        (mean, k) => (logs[k] = logWeights[k] - (value - alpha * mean) ** 2 / (2 * variance)),
      );
      const highest = logs.reduce((a, b) => Math.max(a, b));
      let total = 0;
      let sum = 0;
      means.forEach((mean, k) => {
        const responsibility = Math.exp(logs[k] - highest);
        total += responsibility;
        sum += responsibility * (mean + pull * (value - alpha * mean)); // E[x0 | x, component]
      });
      return sum / total;
    });
    return { denoised: { ...x, data } };
  };
}

/** Probabilities of the components, which must be positive and of the number of the means. */
export function componentWeights({ means, weights, std }: GaussianMixture): number[] {
  const given = weights ?? means.map(() => 1);
  if (
    means.length === 0 ||
    given.length !== means.length ||
    !given.every((w) => w > 0) ||
    !(std > 0)
  )
    throw new NijimiError(
      "option",
      "A mixture needs means, as many positive weights (or none) and a standard deviation above 0.",
    );
  const total = given.reduce((a, b) => a + b, 0);
  return given.map((w) => w / total);
}
