/** Fused sums of tensors: one pass over memory, coefficients and sums in float64, rounded once. */
import type { Tensor } from "../../tensor/tensor.ts";
import type { Level } from "./space.ts";
import type { Prediction } from "./types.ts";

type F32 = Tensor<"float32">;

/** A coefficient and what it multiplies. */
export type Term = readonly [coefficient: number, tensor: F32];

/**
 * Σ coefficient·tensor. Terms whose coefficient is 0 are left out, so that 0·∞ cannot spoil a sum.
 *
 * @example
 * const x2 = combine([alpha, denoised], [std, eps]); // x2 = α·x0 + σ·ε
 */
export function combine(...terms: readonly Term[]): F32 {
  const { shape, data } = terms[0][1];
  const out = new Float32Array(data.length);
  const used = terms.filter(([coefficient]) => coefficient !== 0);
  for (let from = 0; from < used.length; from += 4) addUpToFour(out, used, from);
  return { dtype: "float32", shape, data: out };
}

function addUpToFour(out: Float32Array, terms: readonly Term[], from: number): void {
  const count = Math.min(4, terms.length - from);
  const [a, { data: x }] = terms[from];
  const [b, { data: y }] = terms[Math.min(from + 1, terms.length - 1)];
  const [c, { data: z }] = terms[Math.min(from + 2, terms.length - 1)];
  const [d, { data: w }] = terms[Math.min(from + 3, terms.length - 1)];
  if (count === 1) for (let i = 0; i < out.length; i++) out[i] += a * x[i];
  else if (count === 2) for (let i = 0; i < out.length; i++) out[i] += a * x[i] + b * y[i];
  else if (count === 3)
    for (let i = 0; i < out.length; i++) out[i] += a * x[i] + b * y[i] + c * z[i];
  else for (let i = 0; i < out.length; i++) out[i] += a * x[i] + b * y[i] + c * z[i] + d * w[i];
}

/** ε of a prediction at x: the one given, or (x − α·x0)/σ_t. */
export function epsOf(x: F32, prediction: Prediction, at: Level): F32 {
  return prediction.eps ?? combine([1 / at.std, x], [-at.alpha / at.std, prediction.denoised]);
}

/**
 * The deterministic first-order step from one level to another, α'·x0 + σ_t'·ε with ε = (x − α·x0)/σ_t.
 * DDIM (eta 0), Euler in sigma (`ve`), DPM-Solver-1, and Euler of a rectified flow are this same step.
 */
export function transfer(x: F32, denoised: F32, from: Level, to: Level): F32 {
  const keep = to.std / from.std;
  return combine([keep, x], [to.alpha - from.alpha * keep, denoised]);
}
