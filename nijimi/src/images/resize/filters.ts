/**
 * Pillow's resampling filters. When shrinking, a filter is stretched by the factor (antialiasing), unlike torch's
 * default and TensorFlow 1's.
 */

/** A filter: its weight at a distance, in input pixels, from the centre, and where it ends. */
export interface Filter {
  readonly support: number;
  weight(x: number): number;
}

/** By Pillow's names. */
export const FILTERS = {
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  hamming: {
    support: 1,
    weight: (x) => (Math.abs(x) >= 1 ? 0 : sinc(x) * (0.54 + 0.46 * Math.cos(Math.PI * x))),
  },
  bicubic: { support: 2, weight: (x) => cubic(Math.abs(x), -0.5) },
  lanczos: { support: 3, weight: (x) => (x >= -3 && x < 3 ? sinc(x) * sinc(x / 3) : 0) },
} as const satisfies Record<string, Filter>;

function sinc(x: number): number {
  return x === 0 ? 1 : Math.sin(x * Math.PI) / (x * Math.PI);
}

/** Keys' cubic convolution, 1981. */
function cubic(x: number, a: number): number {
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  if (x < 2) return (((x - 5) * x + 8) * x - 4) * a;
  return 0;
}

/** For one output sample: the first input sample, and the weights from there on, which sum to 1. */
export interface Taps {
  readonly first: number;
  readonly weights: Float64Array;
}

/**
 * The taps of every output sample.
 *
 * @param size input samples
 * @param from where the resized part begins, in input samples
 * @param to where it ends
 * @param outSize output samples
 */
export function tapsOf(
  filter: Filter,
  size: number,
  from: number,
  to: number,
  outSize: number,
): Taps[] {
  const scale = Math.fround(to - from) / outSize; // edges are float32 in Pillow
  const stretch = Math.max(scale, 1);
  const support = filter.support * stretch;
  return Array.from({ length: outSize }, (_, i) => {
    const centre = from + (i + 0.5) * scale;
    const first = Math.max(0, Math.trunc(centre - support + 0.5));
    const last = Math.min(size, Math.trunc(centre + support + 0.5));
    const weights = new Float64Array(Math.max(0, last - first));
    let sum = 0;
    for (let k = 0; k < weights.length; k++) {
      weights[k] = filter.weight((k + first - centre + 0.5) * (1 / stretch));
      sum += weights[k];
    }
    if (sum !== 0) for (let k = 0; k < weights.length; k++) weights[k] /= sum;
    return { first, weights };
  });
}
