/** Fused sums of tensors: one pass over memory, coefficients and sums in float64, rounded once. */
import type { Tensor } from "../../tensor/tensor.ts";
import type { Level } from "./space.ts";
import type { Prediction } from "./types.ts";

type F32 = Tensor<"float32">;

/** A coefficient and what it multiplies. */
export type Term = readonly [coefficient: number, tensor: F32];

/**
 * Σ coefficient·tensor. Terms whose coefficient is 0 are left out, so that 0·∞ cannot spoil a sum;
 * a tensor that comes twice is read once.
 *
 * @example
 * const x2 = combine([alpha, denoised], [std, eps]); // x2 = α·x0 + σ·ε
 */
export function combine(...terms: readonly Term[]): F32 {
  const { shape, data } = terms[0][1];
  const out = new Float32Array(data.length);
  addTerms(out, merged(terms));
  return { dtype: "float32", shape, data: out };
}

function merged(terms: readonly Term[]): Term[] {
  const coefficients = new Map<F32, number>();
  for (const [coefficient, tensor] of terms)
    if (coefficient !== 0) coefficients.set(tensor, (coefficients.get(tensor) ?? 0) + coefficient);
  return Array.from(coefficients, ([tensor, coefficient]): Term => [coefficient, tensor]);
}

/** One loop per number of terms: the compiler keeps each free of branches. */
function addTerms(out: Float32Array, terms: readonly Term[]): void {
  const { length } = out;
  const [first, second = first, third = first, fourth = first] = terms;
  if (!first) return;
  const [a, { data: x }] = first;
  const [b, { data: y }] = second;
  const [c, { data: z }] = third;
  const [d, { data: w }] = fourth;
  switch (terms.length) {
    case 1:
      for (let i = 0; i < length; i++) out[i] = a * x[i];
      return;
    case 2:
      for (let i = 0; i < length; i++) out[i] = a * x[i] + b * y[i];
      return;
    case 3:
      for (let i = 0; i < length; i++) out[i] = a * x[i] + b * y[i] + c * z[i];
      return;
    case 4:
      for (let i = 0; i < length; i++) out[i] = a * x[i] + b * y[i] + c * z[i] + d * w[i];
      return;
    default: {
      const rest = terms.slice(4);
      for (let i = 0; i < length; i++) {
        let sum = a * x[i] + b * y[i] + c * z[i] + d * w[i];
        for (let k = 0; k < rest.length; k++) sum += rest[k][0] * rest[k][1].data[i];
        out[i] = sum;
      }
    }
  }
}

/** ε of a prediction at x: the one given, or (x − α·x0)/σ_t. */
export function epsOf(x: F32, prediction: Prediction, at: Level): F32 {
  return prediction.eps ?? combine([1 / at.std, x], [-at.alpha / at.std, prediction.denoised]);
}

/**
 * The deterministic first-order step from one level to another, α'·x0 + σ_t'·ε with ε = (x −
 * α·x0)/σ_t. DDIM (eta 0), Euler in sigma (`ve`), DPM-Solver-1, and Euler of a rectified flow are
 * this same step.
 */
export function transfer(x: F32, denoised: F32, from: Level, to: Level): F32 {
  const keep = to.std / from.std;
  return combine([keep, x], [to.alpha - from.alpha * keep, denoised]);
}
