/**
 * Levels even in arctan σ, which minimises an upper bound of the KL divergence for a Gaussian
 * (Sabour et al. 2024, "Align Your Steps", arXiv:2404.14507, eq. 42).
 */
import { checkSigmaRange, checkSteps } from "./check.ts";
import { appendZero, linspace } from "./numbers.ts";
import type { SigmaRange } from "./sigmas-karras.ts";

/**
 * From σ_max to σ_min.
 *
 * @param options `end`: "zero" gives `steps` levels and then 0 (ComfyUI); "sigma-min" gives `steps`
 *   + 1 levels of which σ_min is the last (A1111). @default "zero"
 */
export function klOptimalSigmas(
  steps: number,
  { sigmaMin, sigmaMax, end = "zero" }: SigmaRange & { readonly end?: "zero" | "sigma-min" },
): Float64Array {
  checkSteps("klOptimalSigmas", steps);
  checkSigmaRange("klOptimalSigmas", sigmaMin, sigmaMax);
  const low = Math.atan(sigmaMin);
  const high = Math.atan(sigmaMax);
  const levels = linspace(0, 1, end === "zero" ? steps : steps + 1).map((u) =>
    Math.tan(u * low + (1 - u) * high),
  );
  return end === "zero" ? appendZero(levels) : levels;
}
