/**
 * The posterior q(x' | x, x0) of a step between two levels of any space: Ho et al. 2020
 * (arXiv:2006.11239), eq. 6–7, written with x = (α/α')·x' + noise of variance σ² − (α/α')²σ'²
 * instead of α_t and β_t, so that steps may be of any length.
 */
import type { Level } from "./space.ts";

/** Variance of the forward step from `to` up to `from`: β_t of DDPM (in `ve`, σ² − σ'²). */
export function forwardVariance(from: Level, to: Level): number {
  const ratio = from.alpha / to.alpha;
  return Math.max(0, from.std ** 2 - (ratio * to.std) ** 2);
}

/** β̃ = β·σ'²/σ². 0 when the step ends without noise. */
export function posteriorVariance(
  from: Level,
  to: Level,
  beta = forwardVariance(from, to),
): number {
  return (beta * to.std ** 2) / from.std ** 2;
}

/** Coefficients of x0 and x in the posterior's mean. */
export function posteriorMean(
  from: Level,
  to: Level,
  beta = forwardVariance(from, to),
): { readonly x0: number; readonly x: number } {
  const variance = from.std ** 2;
  return {
    x0: (to.alpha * beta) / variance,
    x: ((from.alpha / to.alpha) * to.std ** 2) / variance,
  };
}
