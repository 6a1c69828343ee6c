/**
 * Importance sampling of timesteps by how large their losses have been: p_t ∝ √E[L_t²] over the
 * last ten losses (Nichol & Dhariwal 2021, Improved DDPM, arXiv:2102.09672, section 3.3; OpenAI's
 * `LossSecondMomentResampler`).
 */
import { NijimiError } from "../../errors.ts";
import { checkNumber, checkSteps } from "../schedules/check.ts";

/** The last losses of every timestep: plain data that a checkpoint can hold. */
export interface LossHistory {
  readonly steps: number;
  readonly historyPerTimestep: number;
  /** [steps, historyPerTimestep], oldest first. */
  readonly losses: Float64Array;
  /** How many of each row are filled. */
  readonly counts: Int32Array;
}

/** An empty history. @param historyPerTimestep @default 10 */
export function lossHistory(steps: number, historyPerTimestep = 10): LossHistory {
  checkSteps("lossHistory", steps);
  checkSteps("lossHistory", historyPerTimestep, { name: "historyPerTimestep" });
  return {
    steps,
    historyPerTimestep,
    losses: new Float64Array(steps * historyPerTimestep),
    counts: new Int32Array(steps),
  };
}

/** Writes the losses of a batch into the history, in order. */
export function recordLosses(
  history: LossHistory,
  timesteps: ArrayLike<number>,
  losses: ArrayLike<number>,
): void {
  const { historyPerTimestep: n, steps } = history;
  if (timesteps.length !== losses.length)
    throw new NijimiError(
      "shape",
      `recordLosses: got ${timesteps.length} timesteps and ${losses.length} losses.`,
    );
  for (let i = 0; i < losses.length; i++) {
    checkSteps("recordLosses", timesteps[i], {
      minimum: 0,
      maximum: steps - 1,
      name: "every timestep",
    });
    checkNumber("recordLosses", "every loss", losses[i]);
    const row = history.losses.subarray(timesteps[i] * n, (timesteps[i] + 1) * n);
    if (history.counts[timesteps[i]] < n) row[history.counts[timesteps[i]]++] = losses[i];
    else {
      row.copyWithin(0, 1);
      row[n - 1] = losses[i];
    }
  }
}

/**
 * √E[L_t²] mixed with a uniform share, unnormalised sums to 1; ones until every timestep has a full
 * history.
 */
export function secondMomentWeights(
  history: LossHistory,
  { uniformProbability = 0.001 } = {},
): Float64Array {
  const { steps, historyPerTimestep: n, losses, counts } = history;
  if (counts.some((count) => count < n)) return new Float64Array(steps).fill(1);
  const roots = Float64Array.from({ length: steps }, (_, t) =>
    Math.sqrt(losses.subarray(t * n, (t + 1) * n).reduce((sum, loss) => sum + loss * loss, 0) / n),
  );
  const total = roots.reduce((sum, root) => sum + root, 0);
  return roots.map(
    (root) => (root / total) * (1 - uniformProbability) + uniformProbability / steps,
  );
}

/** The weights as probabilities, for `importanceTimesteps`. */
export function secondMomentProbabilities(
  history: LossHistory,
  options: { readonly uniformProbability?: number } = {},
): Float64Array {
  const weights = secondMomentWeights(history, options);
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight) => weight / total);
}
