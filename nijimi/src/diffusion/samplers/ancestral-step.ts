/**
 * How an ancestral step is split: a deterministic part down to `down`, then noise of standard
 * deviation `up`. With eta 1 the two together have the variance of DDPM's posterior (Ho et al.
 * 2020, eq. 7), with eta 0 nothing is added. In `ve` this is k-diffusion's `get_ancestral_step`;
 * other spaces use the same noise : signal ratios, so that a sampler means the same process in
 * each.
 */
import { type Level, levelAtRatio, ratioOf } from "./space.ts";
import type { Space } from "./types.ts";

/** An ancestral step. */
export interface AncestralStep {
  /** Where the deterministic part ends. */
  readonly down: Level;
  /**
   * Factor by which the state is scaled when noise lifts it from `down` to the target: α'/α_down.
   */
  readonly keep: number;
  /** Standard deviation of the noise then added. */
  readonly up: number;
}

/** Splits the step `from` → `to`. */
export function ancestralStep(space: Space, from: Level, to: Level, eta = 1): AncestralStep {
  if (eta === 0 || to.std === 0) return { down: to, keep: 1, up: 0 };
  const r1 = ratioOf(from);
  const r2 = ratioOf(to);
  // σ_up² = η²·σ'²(σ² − σ'²)/σ²; from σ = ∞ that is η²·σ'²
  const spread = r1 === Infinity ? 1 : Math.max(0, 1 - (r2 / r1) ** 2);
  const upRatio = Math.min(r2, eta * r2 * Math.sqrt(spread));
  const down = levelAtRatio(space, Math.sqrt(Math.max(0, r2 * r2 - upRatio * upRatio)));
  return { down, keep: to.alpha / down.alpha, up: to.alpha * upRatio };
}

/** The ancestral step as one sum: coefficients of x, x0 and the noise, for first-order samplers. */
export function ancestralCoefficients(
  from: Level,
  { down, keep, up }: AncestralStep,
): readonly [number, number, number] {
  const ratio = down.std / from.std;
  return [keep * ratio, keep * (down.alpha - from.alpha * ratio), up];
}
