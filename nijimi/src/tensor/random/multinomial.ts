/**
 * Drawing indices by weight as torch does: with replacement by searching the cumulative distribution, without by
 * ranking weight / Exp(1) (the exponential race; Efraimidis & Spirakis 2006).
 */
import { NijimiError } from "../../errors.ts";

/** Rounds to the weights' type; torch accumulates half types in float32. */
type Round = (value: number) => number;

/** Refuses weights that are negative, not finite, or all zero. */
export function checkWeights(weights: ArrayLike<number>): void {
  let sum = 0;
  for (let i = 0; i < weights.length; i++) {
    if (!(weights[i] >= 0) || weights[i] === Infinity)
      throw new NijimiError(
        "numeric",
        `multinomial: weights must be finite and ≥ 0; weight ${i} is ${weights[i]}.`,
      );
    sum += weights[i];
  }
  if (!(sum > 0))
    throw new NijimiError(
      "numeric",
      "multinomial: the weights of a row sum to 0; at least one must be > 0.",
    );
}

/** One index per uniform draw: the first whose cumulative share is not below it. */
export function drawWithReplacement(
  weights: ArrayLike<number>,
  count: number,
  uniform: () => number,
  round: Round,
): number[] {
  const cumulative = new Float64Array(weights.length);
  let sum = 0;
  for (let i = 0; i < weights.length; i++) {
    sum = round(sum + weights[i]);
    cumulative[i] = sum;
  }
  for (let i = 0; i < weights.length; i++) cumulative[i] = round(cumulative[i] / sum);
  cumulative[weights.length - 1] = 1;
  return Array.from({ length: count }, () => firstNotBelow(cumulative, uniform()));
}

function firstNotBelow(sorted: Float64Array, value: number): number {
  let left = 0;
  let right = sorted.length;
  while (left < right) {
    const middle = (left + right) >> 1;
    if (sorted[middle] < value) left = middle + 1;
    else right = middle;
  }
  return left;
}

/** The `count` indices with the largest weight / race[i], largest first. */
export function drawWithoutReplacement(
  weights: ArrayLike<number>,
  race: ArrayLike<number>,
  count: number,
  round: Round,
): number[] {
  const scores = Float64Array.from(weights, (weight, i) => round(weight / race[i]));
  return Array.from(scores.keys())
    .sort((a, b) => scores[b] - scores[a])
    .slice(0, count);
}
