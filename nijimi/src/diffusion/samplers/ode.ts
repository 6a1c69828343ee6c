/**
 * The probability-flow ODE as Runge–Kutta and multistep methods need it: a derivative and a
 * weighted sum of them. In `ve` (Karras et al. 2022, eq. 3 with σ(t) = t) and `flow` time is sigma
 * and dx/dσ = (x − x0)/σ. In `vp` the same holds for x/α, so states are divided by α on the way in
 * and multiplied on the way out.
 */
import type { Tensor } from "../../tensor/tensor.ts";
import { combine, type Term } from "./arithmetic.ts";
import type { Level } from "./space.ts";
import type { Space } from "./types.ts";

/**
 * weight·derivative as terms of a sum, the derivative being that of x in `ve` and `flow`, of x/α in
 * `vp`.
 */
export function slope(
  weight: number,
  space: Space,
  x: Tensor<"float32">,
  denoised: Tensor<"float32">,
  at: Level,
): readonly [Term, Term] {
  const scale = space === "vp" ? at.alpha : 1;
  return [
    [weight / (scale * at.sigma), x],
    [-weight / at.sigma, denoised],
  ];
}

/**
 * The state at level `to`: x + Σ weight·derivative, with weights that add up to `to.sigma −
 * from.sigma`.
 */
export function advance(
  space: Space,
  x: Tensor<"float32">,
  from: Level,
  to: Level,
  ...derivatives: readonly Term[]
): Tensor<"float32"> {
  if (space !== "vp") return combine([1, x], ...derivatives);
  return combine(
    [to.alpha / from.alpha, x],
    ...derivatives.map(([weight, d]): Term => [weight * to.alpha, d]),
  );
}

/**
 * True where the ODE in sigma cannot be followed by more than one Euler step: from pure noise, or
 * to none.
 */
export function firstOrderOnly(from: Level, to: Level): boolean {
  return to.sigma === 0 || from.sigma === Infinity;
}

/** The level in the middle of two on a logarithmic scale of sigma. */
export function geometricMean(from: Level, to: Level): number {
  return Math.sqrt(from.sigma * to.sigma);
}
