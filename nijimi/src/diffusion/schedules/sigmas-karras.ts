/**
 * Noise levels evenly spaced in σ^{1/ρ}: Karras et al. 2022 (EDM, arXiv:2206.00364), eq. 5.
 * ρ = 7 is the paper's; larger ρ takes shorter steps near σ_min.
 */
import { checkNumber, checkSigmaRange, checkSteps } from "./check.ts";
import { appendZero, linspace } from "./numbers.ts";

/** The extremes of a schedule of noise levels. */
export interface SigmaRange {
  readonly sigmaMin: number;
  readonly sigmaMax: number;
}

/** Whose form of a schedule is meant, where user interfaces differ. */
export type SigmaConvention = "comfyui" | "a1111";

/**
 * `steps` levels from σ_max to σ_min, then 0.
 *
 * @example
 * karrasSigmas(20, { sigmaMin: 0.0292, sigmaMax: 14.6146 });
 */
export function karrasSigmas(
  steps: number,
  { sigmaMin, sigmaMax, rho = 7 }: SigmaRange & { readonly rho?: number },
): Float64Array {
  checkSteps("karrasSigmas", steps);
  checkSigmaRange("karrasSigmas", sigmaMin, sigmaMax);
  checkNumber("karrasSigmas", "rho", rho, { above: 0 });
  const minimum = sigmaMin ** (1 / rho);
  const maximum = sigmaMax ** (1 / rho);
  return appendZero(linspace(0, 1, steps).map((u) => (maximum + u * (minimum - maximum)) ** rho));
}
