/** The rate of most recipes: a short rise, a long plateau, a fall to 0 over the last updates. */
import { learningRateAt } from "../optimisers/schedules.ts";

/** What the rate depends on. */
export interface StableRateSettings {
  readonly updates: number;
  readonly learningRate: number;
  readonly warmupUpdates: number;
  /** Last updates, over which the rate falls to 0. */
  readonly decayUpdates: number;
}

/** The rate of update n. Short trainings rise for at most a quarter of their updates and fall for at most half. */
export function stableRate(
  { updates, learningRate, warmupUpdates, decayUpdates }: StableRateSettings,
  update: number,
): number {
  return learningRateAt("warmup_stable_decay", learningRate, update, {
    warmupSteps: Math.min(warmupUpdates, Math.floor(updates / 4)),
    trainingSteps: updates,
    decaySteps: Math.min(decayUpdates, Math.ceil(updates / 2)),
  });
}
