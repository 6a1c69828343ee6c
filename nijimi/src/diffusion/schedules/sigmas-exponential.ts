/**
 * Noise levels evenly spaced in log σ, or in a power of it (k-diffusion's `get_sigmas_exponential`,
 * `get_sigmas_polyexponential`).
 */
import { checkNumber, checkSigmaRange, checkSteps } from "./check.ts";
import { appendZero, linspace } from "./numbers.ts";
import type { SigmaRange } from "./sigmas-karras.ts";

/** `steps` levels in geometric progression from σ_max to σ_min, then 0. */
export function exponentialSigmas(steps: number, range: SigmaRange): Float64Array {
  return polyexponentialSigmas(steps, { ...range, rho: 1 });
}

/** σ = exp(log σ_min + u^ρ·(log σ_max − log σ_min)) for `steps` values of u from 1 to 0, then 0. */
export function polyexponentialSigmas(
  steps: number,
  { sigmaMin, sigmaMax, rho = 1 }: SigmaRange & { readonly rho?: number },
): Float64Array {
  checkSteps("polyexponentialSigmas", steps);
  checkSigmaRange("polyexponentialSigmas", sigmaMin, sigmaMax);
  checkNumber("polyexponentialSigmas", "rho", rho, { above: 0 });
  const low = Math.log(sigmaMin);
  const high = Math.log(sigmaMax);
  return appendZero(linspace(1, 0, steps).map((u) => Math.exp(low + u ** rho * (high - low))));
}
