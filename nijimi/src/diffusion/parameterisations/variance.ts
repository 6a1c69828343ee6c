/**
 * The variance of p(x_{t−1}|x_t).
 *
 * - `fixed-small`: β̃_t of the posterior (Ho et al. 2020, section 3.2), the optimum for x_0 of one
 *   value.
 * - `fixed-large`: β_t, the optimum for x_0 ~ N(0, 1); the first timestep takes β̃_1, whose log is
 *   better behaved.
 * - `learned`: the network gives log σ².
 * - `learned-range`: Nichol & Dhariwal 2021 (arXiv:2102.09672), eq. 15: the network's v ∈ [−1, 1]
 *   moves log σ² between log β̃_t (−1) and log β_t (1).
 */
import { unknownName } from "../../errors.ts";
import type { DiffusionTables } from "../schedules/diffusion-tables.ts";

/** Names of the variances. */
export const VARIANCE_TYPES = ["fixed-small", "fixed-large", "learned", "learned-range"] as const;
export type VarianceType = (typeof VARIANCE_TYPES)[number];

/**
 * diffusers' `variance_type` → ours; its "…_log" forms only differ in how the same number is
 * rounded.
 */
export const DIFFUSERS_VARIANCE_TYPES: Readonly<Record<string, VarianceType>> = {
  fixed_small: "fixed-small",
  fixed_small_log: "fixed-small",
  fixed_large: "fixed-large",
  fixed_large_log: "fixed-large",
  learned: "learned",
  learned_range: "learned-range",
};

/** True when the network gives the variance in a second half of its channels. */
export function isLearned(type: VarianceType): boolean {
  if (!VARIANCE_TYPES.includes(type))
    throw unknownName("variance type", String(type), VARIANCE_TYPES);
  return type === "learned" || type === "learned-range";
}

/** log σ²_t of a fixed variance. */
export function fixedLogVariance(
  tables: DiffusionTables,
  t: number,
  type: "fixed-small" | "fixed-large",
): number {
  if (type === "fixed-small" || t === 0) return tables.posteriorLogVarianceClipped[t];
  return Math.log(tables.betas[t]);
}

/** Ends of the learned range: log β̃_t and log β_t. */
export function logVarianceRange(
  tables: DiffusionTables,
  t: number,
): { readonly low: number; readonly high: number } {
  return { low: tables.posteriorLogVarianceClipped[t], high: Math.log(tables.betas[t]) };
}

/** log σ² = f·high + (1 − f)·low with f = (v + 1)/2. */
export function interpolateLogVariance(
  v: number,
  { low, high }: { readonly low: number; readonly high: number },
): number {
  const f = (v + 1) / 2;
  return f * high + (1 - f) * low;
}
