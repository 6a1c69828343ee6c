/**
 * The betas of DDPM's code that its paper did not choose (Ho et al. 2020, `get_beta_schedule`):
 * constant, "jsd" (β_t = 1/(T − t): every x_t keeps equally much of x_0) and linear warm-ups.
 */
import { checkNumber, checkSteps } from "./check.ts";
import type { BetaRange } from "./betas-polynomial.ts";
import { linspace } from "./numbers.ts";

/** β_t = β_end for every t. */
export function constantBetas(steps: number, { betaEnd = 0.02 }: BetaRange = {}): Float64Array {
  checkSteps("constantBetas", steps);
  return new Float64Array(steps).fill(betaEnd);
}

/** β_t = 1/T, 1/(T−1), …, 1. */
export function jsdBetas(steps: number): Float64Array {
  checkSteps("jsdBetas", steps);
  return linspace(steps, 1, steps).map((x) => 1 / x);
}

/**
 * Linear over the first `fraction` of the timesteps, then constant; DDPM's "warmup10" and
 * "warmup50" are 0.1 and 0.5.
 */
export function warmupBetas(
  steps: number,
  {
    betaStart = 1e-4,
    betaEnd = 0.02,
    fraction = 0.1,
  }: BetaRange & { readonly fraction?: number } = {},
): Float64Array {
  checkSteps("warmupBetas", steps);
  checkNumber("warmupBetas", "fraction", fraction);
  const betas = new Float64Array(steps).fill(betaEnd);
  betas.set(linspace(betaStart, betaEnd, Math.floor(steps * fraction)));
  return betas;
}
