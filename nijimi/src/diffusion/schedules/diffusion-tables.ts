/**
 * Everything that follows from the betas of a discrete diffusion process, in float64.
 * Ho et al. 2020 (arXiv:2006.11239), eq. 4 (q(x_t|x_0)) and 6–7 (posterior q(x_{t−1}|x_t, x_0)).
 */
import { checkBetas } from "./check.ts";

/** Tables over timesteps 0 … T−1 (the paper counts from 1). */
export interface DiffusionTables {
  /** Number of timesteps T. */
  readonly steps: number;
  readonly betas: Float64Array;
  /** α_t = 1 − β_t */
  readonly alphas: Float64Array;
  /** ᾱ_t = Π α */
  readonly alphasCumprod: Float64Array;
  /** ᾱ_{t−1}, with ᾱ_{−1} = 1 */
  readonly alphasCumprodPrev: Float64Array;
  /** β̃_t = β_t·(1 − ᾱ_{t−1})/(1 − ᾱ_t) */
  readonly posteriorVariance: Float64Array;
  /** log β̃_t, whose first entry (log 0) is replaced by the second */
  readonly posteriorLogVarianceClipped: Float64Array;
  /** Coefficient of x_0 in the posterior mean: β_t·√ᾱ_{t−1}/(1 − ᾱ_t) */
  readonly posteriorMeanCoef1: Float64Array;
  /** Coefficient of x_t in the posterior mean: (1 − ᾱ_{t−1})·√α_t/(1 − ᾱ_t) */
  readonly posteriorMeanCoef2: Float64Array;
}

/**
 * The tables of a process.
 *
 * @example
 * const { alphasCumprod } = diffusionTables(makeBetas({ schedule: "cosine", steps: 4000 }));
 */
export function diffusionTables(betas: ArrayLike<number>): DiffusionTables {
  checkBetas("diffusionTables", betas);
  const beta = Float64Array.from(betas);
  const alphas = beta.map((b) => 1 - b);
  const alphasCumprod = cumulativeProduct(alphas);
  const alphasCumprodPrev = alphasCumprod.map((_, t) => (t === 0 ? 1 : alphasCumprod[t - 1]));
  const posteriorVariance = beta.map(
    (b, t) => (b * (1 - alphasCumprodPrev[t])) / (1 - alphasCumprod[t]),
  );
  return {
    steps: beta.length,
    betas: beta,
    alphas,
    alphasCumprod,
    alphasCumprodPrev,
    posteriorVariance,
    posteriorLogVarianceClipped: posteriorVariance.map((v, t) =>
      Math.log(t === 0 && beta.length > 1 ? posteriorVariance[1] : v),
    ),
    posteriorMeanCoef1: beta.map(
      (b, t) => (b * Math.sqrt(alphasCumprodPrev[t])) / (1 - alphasCumprod[t]),
    ),
    posteriorMeanCoef2: alphas.map(
      (a, t) => ((1 - alphasCumprodPrev[t]) * Math.sqrt(a)) / (1 - alphasCumprod[t]),
    ),
  };
}

/** Π over the entries up to each. */
export function cumulativeProduct(values: ArrayLike<number>): Float64Array {
  let product = 1;
  return Float64Array.from(values, (value) => (product *= value));
}

/** ᾱ_t of the given betas. */
export function alphasCumprodOf(betas: ArrayLike<number>): Float64Array {
  return cumulativeProduct(Float64Array.from(betas, (beta) => 1 - beta));
}
