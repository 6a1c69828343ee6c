/**
 * Learning-rate schedules: the factor of the base rate at each update, as diffusers' `get_scheduler`.
 * All begin with a linear warm-up. Pure functions of the update's number, from 0.
 */
import { NijimiError, unknownName } from "../../errors.ts";

/** Options of {@link learningRateAt}. */
export interface ScheduleOptions {
  /** Updates over which the rate rises from 0. @default 0 */
  readonly warmupSteps?: number;
  /** Updates in all; needed by every schedule that falls. */
  readonly trainingSteps?: number;
  /** Waves of the cosine. @default 0.5 for "cosine", 1 for "cosine_with_restarts" */
  readonly cycles?: number;
  /** Exponent of "polynomial". @default 1 */
  readonly power?: number;
  /** Last rate of "polynomial". @default 1e-7 */
  readonly lastRate?: number;
}

export const LEARNING_RATE_SCHEDULES = [
  "constant",
  "constant_with_warmup",
  "linear",
  "cosine",
  "cosine_with_restarts",
  "polynomial",
] as const;
export type LearningRateSchedule = (typeof LEARNING_RATE_SCHEDULES)[number];

/**
 * The learning rate of update `step`.
 *
 * @throws NijimiError `option` for an unknown schedule, or one that falls without `trainingSteps`
 * @example
 * learningRateAt("cosine", 1e-4, 500, { warmupSteps: 100, trainingSteps: 1000 });
 */
export function learningRateAt(
  schedule: LearningRateSchedule,
  baseRate: number,
  step: number,
  options: ScheduleOptions = {},
): number {
  const { warmupSteps = 0, trainingSteps, power = 1, lastRate = 1e-7 } = options;
  if (!LEARNING_RATE_SCHEDULES.includes(schedule))
    throw unknownName("learning-rate schedule", schedule, LEARNING_RATE_SCHEDULES);
  if (schedule === "constant") return baseRate;
  if (step < warmupSteps) return baseRate * (step / Math.max(1, warmupSteps));
  if (schedule === "constant_with_warmup") return baseRate;
  if (trainingSteps === undefined)
    throw new NijimiError("option", `Learning-rate schedule "${schedule}" needs trainingSteps.`);
  const span = trainingSteps - warmupSteps;
  const progress = (step - warmupSteps) / Math.max(1, span);
  switch (schedule) {
    case "linear":
      return baseRate * Math.max(0, (trainingSteps - step) / Math.max(1, span));
    case "cosine":
      return (
        baseRate *
        Math.max(0, 0.5 * (1 + Math.cos(Math.PI * (options.cycles ?? 0.5) * 2 * progress)))
      );
    case "cosine_with_restarts":
      return progress >= 1
        ? 0
        : baseRate *
            Math.max(0, 0.5 * (1 + Math.cos(Math.PI * (((options.cycles ?? 1) * progress) % 1))));
    case "polynomial":
      return step > trainingSteps
        ? lastRate
        : (baseRate - lastRate) * (1 - progress) ** power + lastRate;
  }
}
