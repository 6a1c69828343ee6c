/**
 * Stochastic churn: EDM (arXiv:2206.00364), algorithm 2, lines 4–6. Shared by Euler, Heun and DPM2.
 * γ = min(S_churn/N, √2 − 1) for levels in [S_tmin, S_tmax]; σ̂ = σ(1 + γ); x̂ = x + S_noise·√(σ̂²
 * − σ²)·ε.
 */
import type { Tensor } from "../../tensor/tensor.ts";
import { NijimiError } from "../../errors.ts";
import { combine } from "./arithmetic.ts";
import { checkRange, type Loop } from "./loop.ts";
import { type Level, ratioOf } from "./space.ts";
import type { SamplerInput } from "./types.ts";

/** Options of the churn. */
export interface ChurnOptions {
  /** S_churn: noise added over the whole run; 0 is deterministic. @default 0 */
  readonly sChurn?: number;
  /** S_tmin: lowest level that is churned. @default 0 */
  readonly sTmin?: number;
  /** S_tmax: highest level that is churned. @default Infinity */
  readonly sTmax?: number;
  /** S_noise: standard deviation of the added noise. @default 1 */
  readonly sNoise?: number;
}

/** True when the options add noise. */
export function isChurning({ sChurn = 0 }: ChurnOptions): boolean {
  return sChurn > 0;
}

/** Refuses options that make no sense. */
export function checkChurn(
  sampler: string,
  { sChurn = 0, sTmin = 0, sTmax = Infinity, sNoise = 1, space }: ChurnOptions & SamplerInput,
): void {
  checkRange(sampler, "sChurn", sChurn, 0);
  checkRange(sampler, "sTmin", sTmin, 0);
  checkRange(sampler, "sTmax", sTmax, sTmin);
  checkRange(sampler, "sNoise", sNoise, 0);
  if (sChurn > 0 && space === "flow")
    throw new NijimiError(
      "option",
      `${sampler}: churn is defined for the spaces "ve" and "vp"; got "flow".`,
    );
}

/** γ of a step. */
export function churnGamma(
  { sChurn = 0, sTmin = 0, sTmax = Infinity }: ChurnOptions,
  sigma: number,
  steps: number,
): number {
  return sigma >= sTmin && sigma <= sTmax ? Math.min(sChurn / steps, Math.SQRT2 - 1) : 0;
}

/** The state and level a step starts from: unchanged where γ is 0. */
export function churn(
  loop: Loop,
  options: ChurnOptions,
  x: Tensor<"float32">,
  step: number,
): { readonly x: Tensor<"float32">; readonly level: Level } {
  const level = loop.levels[step];
  const gamma = churnGamma(options, level.sigma, loop.steps);
  if (gamma === 0) return { x, level };
  const churned = loop.level(level.sigma * (1 + gamma));
  return {
    x: addNoise(x, level, churned, loop.noise(level, churned), options.sNoise),
    level: churned,
  };
}

/** Raises the noise level of a state: q(x_to | x_from), with the noise scaled by `sNoise`. */
export function addNoise(
  x: Tensor<"float32">,
  from: Level,
  to: Level,
  noise: Tensor<"float32">,
  sNoise = 1,
): Tensor<"float32"> {
  const added = to.alpha * Math.sqrt(Math.max(0, ratioOf(to) ** 2 - ratioOf(from) ** 2));
  return combine([to.alpha / from.alpha, x], [sNoise * added, noise]);
}
