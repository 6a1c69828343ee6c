/**
 * What a report says of one number per image (CLIP score, PSNR, aesthetic score, …): mean with confidence interval,
 * spread, best and worst images and a sample of values for histograms, streaming.
 *
 * The interval is a Poisson bootstrap (Chamandy et al. 2012): every replicate counts every image Poisson(1) times,
 * decided by the image's name, so that replicates can be summed as images arrive and merged between processes.
 */
import { NijimiError } from "../errors.ts";
import { float32 } from "../tensor/tensor.ts";
import { type BootstrapOptions, type Interval, intervalOf } from "./bootstrap.ts";
import { featureSample, type FeatureSampleState } from "./feature-sample.ts";
import { hashText, mixPair, unitInterval } from "./hash.ts";
import type { StreamingMetric } from "./streaming.ts";

/** A value with the name of its image. */
export interface NamedValue {
  readonly name: string;
  readonly value: number;
}

export interface ScalarSummary {
  readonly count: number;
  readonly mean: number;
  /** Of the values, divided by N − 1. */
  readonly std: number;
  /** Of the mean. */
  readonly interval: Interval;
  /** Ascending. */
  readonly lowest: readonly NamedValue[];
  /** Descending. */
  readonly highest: readonly NamedValue[];
  /** At most {@link ScalarSummaryOptions.sampleLimit} of the values, ascending. */
  readonly sample: readonly number[];
}

export interface ScalarSummaryState {
  count: number;
  mean: number;
  /** Σ (value − mean)². */
  squares: number;
  lowest: NamedValue[];
  highest: NamedValue[];
  /** Per replicate: Σ weight and Σ weight · value. */
  weights: Float64Array;
  sums: Float64Array;
  sample: FeatureSampleState;
}

export interface ScalarSummaryOptions extends BootstrapOptions {
  /** Best and worst images kept. @default 12 */
  readonly extremes?: number;
  /** Values kept for histograms. @default 10000 */
  readonly sampleLimit?: number;
}

/** Cumulative probabilities of Poisson(1) at 0, 1, 2, … */
const POISSON = [0.36787944, 0.73575888, 0.9196986, 0.98101184, 0.99634015, 0.99940582, 0.99991676];

/** Summarises a stream of named values. */
export function scalarSummary(
  options: ScalarSummaryOptions = {},
): StreamingMetric<readonly NamedValue[], ScalarSummaryState, ScalarSummary> {
  const { extremes = 12, sampleLimit = 10_000, resamples = 1000, seed = 0 } = options;
  const sample = featureSample(1, sampleLimit, { seed });
  return {
    start: () => ({
      count: 0,
      mean: 0,
      squares: 0,
      lowest: [],
      highest: [],
      weights: new Float64Array(resamples),
      sums: new Float64Array(resamples),
      sample: sample.start(),
    }),
    add: async (state, batch) => {
      for (const one of batch) addValue(state, one, seed, extremes);
      const values = batch.map(({ value }) => value);
      const names = batch.map(({ name }) => name);
      state.sample = await sample.add(state.sample, {
        rows: float32([values.length, 1], values),
        names,
      });
      return state;
    },
    merge: async (a, b) => {
      const count = a.count + b.count;
      const delta = b.mean - a.mean;
      return {
        count,
        mean: count === 0 ? 0 : a.mean + (delta * b.count) / count,
        squares:
          a.squares + b.squares + (count === 0 ? 0 : (delta ** 2 * a.count * b.count) / count),
        lowest: ranked([...a.lowest, ...b.lowest], 1, extremes),
        highest: ranked([...a.highest, ...b.highest], -1, extremes),
        weights: a.weights.map((weight, r) => weight + b.weights[r]),
        sums: a.sums.map((sum, r) => sum + b.sums[r]),
        sample: await sample.merge(a.sample, b.sample),
      };
    },
    finish: async (state) => {
      const { count, mean, squares, lowest, highest, weights, sums } = state;
      const replicates = sums.map((sum, r) => (weights[r] === 0 ? mean : sum / weights[r]));
      return {
        count,
        mean: count === 0 ? NaN : mean,
        std: count < 2 ? NaN : Math.sqrt(squares / (count - 1)),
        interval: intervalOf(replicates, options),
        lowest,
        highest,
        sample: [...(await sample.finish(state.sample)).rows.data.slice().sort()],
      };
    },
  };
}

function addValue(
  state: ScalarSummaryState,
  one: NamedValue,
  seed: number,
  extremes: number,
): void {
  const { name, value } = one;
  if (!Number.isFinite(value))
    throw new NijimiError("numeric", `The value of ${name} is ${value}; expected a finite number.`);
  state.count++;
  const delta = value - state.mean;
  state.mean += delta / state.count;
  state.squares += delta * (value - state.mean);
  state.lowest = ranked([...state.lowest, one], 1, extremes);
  state.highest = ranked([...state.highest, one], -1, extremes);
  const stream = hashText(name, seed);
  for (let r = 0; r < state.weights.length; r++) {
    const weight = poisson(unitInterval(mixPair(stream, r)));
    state.weights[r] += weight;
    state.sums[r] += weight * value;
  }
}

function poisson(uniform: number): number {
  let k = 0;
  while (k < POISSON.length && uniform >= POISSON[k]) k++;
  return k;
}

/** The first `limit` by value (direction 1 ascending, −1 descending), then by name. */
function ranked(values: NamedValue[], direction: 1 | -1, limit: number): NamedValue[] {
  const byName = (a: NamedValue, b: NamedValue): number =>
    a.name < b.name ? -1 : a.name > b.name ? 1 : 0;
  return values.sort((a, b) => direction * (a.value - b.value) || byName(a, b)).slice(0, limit);
}
