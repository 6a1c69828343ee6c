/**
 * Learning-rate schedules: the rate of each update, as diffusers' `get_scheduler`, and "warmup_stable_decay" (Hu et
 * al. 2024, arXiv:2404.06395), whose length can be changed until the decay begins.
 * All but "constant" and "piecewise_constant" begin with a linear warm-up. Pure functions of the update's number,
 * from 0.
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
  /**
   * Factors of "piecewise_constant" and the update at which each ends, the last factor alone: `"1:1000,0.1:2000,0.01"`.
   */
  readonly rules?: string;
  /** Last updates of "warmup_stable_decay", over which the rate falls linearly to 0. @default a fifth of all */
  readonly decaySteps?: number;
}

export const LEARNING_RATE_SCHEDULES = [
  "constant",
  "constant_with_warmup",
  "linear",
  "cosine",
  "cosine_with_restarts",
  "polynomial",
  "piecewise_constant",
  "warmup_stable_decay",
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
  if (schedule === "piecewise_constant") return baseRate * factorAt(options.rules ?? "", step);
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
    case "warmup_stable_decay": {
      const decay = Math.max(1, options.decaySteps ?? Math.round(trainingSteps / 5));
      return baseRate * Math.max(0, Math.min(1, (trainingSteps - step) / decay));
    }
    case "polynomial":
      return step > trainingSteps
        ? lastRate
        : (baseRate - lastRate) * (1 - progress) ** power + lastRate;
  }
}

/** The factor that the rules give for an update. */
function factorAt(rules: string, step: number): number {
  const parsed = rules.split(",").map((rule) => rule.split(":").map(Number));
  const wellFormed = parsed.every(
    (rule, i) =>
      rule.every(Number.isFinite) &&
      rule.length === (i === parsed.length - 1 ? 1 : 2) &&
      rules.trim() !== "",
  );
  if (!wellFormed)
    throw new NijimiError(
      "option",
      `rules: got ${JSON.stringify(rules)}; expected factors with the update each ends at, as in "1:1000,0.1:2000,0.01".`,
    );
  return (parsed.find(([, end]) => end === undefined || step < end) ??
    parsed[parsed.length - 1])[0];
}
