/**
 * Betas along a logistic curve: β_t = σ(x_t)·(β_end − β_start) + β_start, x from −6 to 6 (GeoDiff;
 * ddim, diffusers).
 */
import { checkSteps } from "./check.ts";
import type { BetaRange } from "./betas-polynomial.ts";
import { linspace } from "./numbers.ts";

/** Sigmoid betas between `betaStart` and `betaEnd`. */
export function sigmoidBetas(
  steps: number,
  { betaStart = 1e-4, betaEnd = 0.02 }: BetaRange = {},
): Float64Array {
  checkSteps("sigmoidBetas", steps);
  return linspace(-6, 6, steps).map((x) => (betaEnd - betaStart) / (1 + Math.exp(-x)) + betaStart);
}
