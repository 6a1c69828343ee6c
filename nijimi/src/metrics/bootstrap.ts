/**
 * Confidence intervals by the bootstrap (Efron 1979): percentiles of a statistic over resampled sets. Resampling is
 * a function of the seed and the sample's number, so that the interval is the same in every run.
 */
import { NijimiError } from "../errors.ts";
import { mixPair } from "./hash.ts";

export interface BootstrapOptions {
  /** @default 1000 */
  readonly resamples?: number;
  /** Probability that the interval is meant to have. @default 0.95 */
  readonly level?: number;
  /** @default 0 */
  readonly seed?: number;
}

export interface Interval {
  readonly low: number;
  readonly high: number;
  readonly level: number;
  readonly resamples: number;
}

/**
 * Interval of a statistic of `count` samples.
 *
 * @param statistic gets the numbers of the resampled samples, with repetitions
 * @example
 * const interval = await bootstrap(scores.length, (sample) => meanOf(sample.map((i) => scores[i])));
 */
export async function bootstrap(
  count: number,
  statistic: (sample: Uint32Array) => number | Promise<number>,
  options: BootstrapOptions = {},
): Promise<Interval> {
  const { resamples = 1000, seed = 0 } = options;
  if (count < 1) throw new NijimiError("shape", "bootstrap: needs at least one sample; got none.");
  const values = new Float64Array(resamples);
  for (let r = 0; r < resamples; r++) {
    const stream = mixPair(seed, r);
    values[r] = await statistic(
      Uint32Array.from({ length: count }, (_, i) => mixPair(stream, i) % count),
    );
  }
  return intervalOf(values, options);
}

/** Interval of the mean of `values`. */
export function bootstrapMean(
  values: ArrayLike<number>,
  options: BootstrapOptions = {},
): Promise<Interval> {
  return bootstrap(
    values.length,
    (sample) => {
      let sum = 0;
      for (const i of sample) sum += values[i];
      return sum / sample.length;
    },
    options,
  );
}

/** The central interval of bootstrap replicates. */
export function intervalOf(
  replicates: Float64Array,
  { level = 0.95 }: BootstrapOptions = {},
): Interval {
  if (!(level > 0 && level < 1))
    throw new NijimiError("option", `bootstrap: level must lie between 0 and 1; got ${level}.`);
  const sorted = replicates.slice().sort();
  const tail = (1 - level) / 2;
  return {
    low: quantile(sorted, tail),
    high: quantile(sorted, 1 - tail),
    level,
    resamples: replicates.length,
  };
}

/** Quantile of ascending values, interpolated linearly between order statistics as np.quantile does. */
export function quantile(sorted: ArrayLike<number>, q: number): number {
  const position = q * (sorted.length - 1);
  const below = Math.floor(position);
  const above = Math.min(below + 1, sorted.length - 1);
  return sorted[below] + (position - below) * (sorted[above] - sorted[below]);
}
