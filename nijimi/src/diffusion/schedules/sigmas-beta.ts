/**
 * "Beta Sampling is All You Need" (Lee et al. 2024, arXiv:2407.12173): levels at the quantiles of a
 * Beta distribution, dense at both ends. Two readings exist: over the range of σ (A1111, diffusers)
 * and over the table of timesteps (ComfyUI).
 */
import { roundHalfEven } from "../../internal/round-half-even.ts";
import { betaQuantile } from "./beta-distribution.ts";
import { checkNumber, checkSigmaRange, checkSteps } from "./check.ts";
import type { DiscreteSigmas } from "./discrete-sigmas.ts";
import { appendZero, linspace } from "./numbers.ts";
import type { SigmaRange } from "./sigmas-karras.ts";

/** Parameters of the Beta distribution. */
export interface BetaShape {
  /** @default 0.6 */
  readonly alpha?: number;
  /** @default 0.6 */
  readonly beta?: number;
}

/** σ = σ_min + q(1 − i/(steps−1))·(σ_max − σ_min), then 0. */
export function betaSigmas(
  steps: number,
  { sigmaMin, sigmaMax, alpha = 0.6, beta = 0.6 }: SigmaRange & BetaShape,
): Float64Array {
  checkSteps("betaSigmas", steps);
  checkSigmaRange("betaSigmas", sigmaMin, sigmaMax);
  checkShape("betaSigmas", alpha, beta);
  return appendZero(
    linspace(0, 1, steps).map(
      (u) => sigmaMin + betaQuantile(1 - u, alpha, beta) * (sigmaMax - sigmaMin),
    ),
  );
}

/**
 * Levels of the timesteps round(q(1 − i/steps)·(T−1)), then 0. Neighbouring steps that fall on one
 * timestep are visited once, so that there may be fewer than `steps` levels.
 */
export function betaTimestepSigmas(
  steps: number,
  { table, alpha = 0.6, beta = 0.6 }: { readonly table: DiscreteSigmas } & BetaShape,
): Float64Array {
  checkSteps("betaTimestepSigmas", steps);
  checkShape("betaTimestepSigmas", alpha, beta);
  const last = table.sigmas.length - 1;
  const timesteps = Array.from({ length: steps }, (_, i) =>
    roundHalfEven(betaQuantile(1 - i / steps, alpha, beta) * last),
  );
  return appendZero(
    timesteps.filter((t, i) => i === 0 || t !== timesteps[i - 1]).map((t) => table.sigmas[t]),
  );
}

function checkShape(where: string, alpha: number, beta: number): void {
  checkNumber(where, "alpha", alpha, { above: 0 });
  checkNumber(where, "beta", beta, { above: 0 });
}
