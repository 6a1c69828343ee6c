/**
 * Levels even in arctan σ, which minimises an upper bound of the KL divergence for a Gaussian
 * (Sabour et al. 2024, "Align Your Steps", arXiv:2404.14507, eq. 42).
 */
import { checkSigmaRange, checkSteps } from "./check.ts";
import { appendZero, linspace } from "./numbers.ts";
import type { SigmaConvention, SigmaRange } from "./sigmas-karras.ts";

/**
 * From σ_max to σ_min.
 *
 * @param options `convention`: "comfyui" gives `steps` levels and then 0; "a1111" gives `steps` + 1
 *   levels of which σ_min is the last. @default "comfyui"
 */
export function klOptimalSigmas(
  steps: number,
  {
    sigmaMin,
    sigmaMax,
    convention = "comfyui",
  }: SigmaRange & { readonly convention?: SigmaConvention },
): Float64Array {
  checkSteps("klOptimalSigmas", steps);
  checkSigmaRange("klOptimalSigmas", sigmaMin, sigmaMax);
  const [low, high] = [Math.atan(sigmaMin), Math.atan(sigmaMax)];
  const levels = (count: number) =>
    linspace(0, 1, count).map((u) => Math.tan(u * low + (1 - u) * high));
  return convention === "comfyui" ? appendZero(levels(steps)) : levels(steps + 1);
}
