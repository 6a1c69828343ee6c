/**
 * Which timesteps a training batch sees. Uniform random numbers u ∈ [0, 1) come from the caller;
 * importance weights make a loss of non-uniform timesteps unbiased.
 */
import { checkSteps } from "../schedules/check.ts";

/** Timesteps of a batch and the factor of each one's loss. */
export interface SampledTimesteps {
  readonly t: Int32Array;
  readonly weights: Float64Array;
}

/** Uniform over 0 … steps−1. */
export function uniformTimesteps(steps: number, uniforms: ArrayLike<number>): SampledTimesteps {
  checkSteps("uniformTimesteps", steps);
  return {
    t: Int32Array.from(uniforms, (u) => Math.floor(u * steps)),
    weights: new Float64Array(uniforms.length).fill(1),
  };
}

/**
 * Pairs t, T−1−t (ddim's training code): half the batch is drawn, the other half mirrors it, which
 * lowers the variance of the loss. ⌊batch/2⌋ + 1 uniforms are used.
 */
export function antitheticTimesteps(
  steps: number,
  batch: number,
  uniforms: ArrayLike<number>,
): SampledTimesteps {
  checkSteps("antitheticTimesteps", steps);
  checkSteps("antitheticTimesteps", batch, { name: "batch" });
  const drawn = Array.from({ length: Math.floor(batch / 2) + 1 }, (_, i) =>
    Math.floor(uniforms[i] * steps),
  );
  const mirrored = drawn.map((t) => steps - 1 - t);
  return {
    t: Int32Array.from([...drawn, ...mirrored].slice(0, batch)),
    weights: new Float64Array(batch).fill(1),
  };
}

/**
 * One uniform number per equal share of [0, 1): evenly spread, each still uniform (k-diffusion's
 * `stratified_uniform`).
 */
export function stratify(uniforms: ArrayLike<number>): Float64Array {
  return Float64Array.from(uniforms, (u, i) => (i + u) / uniforms.length);
}

/** From given probabilities, with weights 1/(T·p). */
export function importanceTimesteps(
  probabilities: ArrayLike<number>,
  uniforms: ArrayLike<number>,
): SampledTimesteps {
  const cumulative: number[] = [];
  for (let t = 0, sum = 0; t < probabilities.length; t++)
    cumulative.push((sum += probabilities[t]));
  const total = cumulative[cumulative.length - 1];
  const t = Int32Array.from(uniforms, (u) => {
    const index = cumulative.findIndex((c) => u * total < c);
    return index < 0 ? probabilities.length - 1 : index;
  });
  return { t, weights: Float64Array.from(t, (i) => 1 / (probabilities.length * probabilities[i])) };
}
