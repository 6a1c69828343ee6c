/**
 * Pillow's resampling, bit for bit: horizontally, then vertically, rounding in between. 8-bit samples go through
 * 22-bit fixed point, 16-bit samples and floats through double precision. FID and CLIP scores depend on it.
 */
import type { Taps } from "./filters.ts";

/** Samples of an image, channels interleaved. */
export interface Plane<T> {
  readonly width: number;
  readonly height: number;
  readonly channels: number;
  readonly data: T;
}

type Samples = Uint8Array | Uint16Array | Float32Array;

/** Bits after the point: 32 − 8 − 2. */
const FIXED_ONE = 2 ** 22;

/** Turns a weighted sum into a sample. */
type Rounding = (sum: number) => number;

/** How each kind of sample is weighted and rounded. */
function arithmeticOf(data: Samples): {
  readonly weight: (w: number) => number;
  readonly round: Rounding;
} {
  if (data instanceof Float32Array) return { weight: (w) => w, round: (sum) => sum };
  if (data instanceof Uint16Array)
    return {
      weight: (w) => w,
      round: (sum) => clamp(Math.trunc(sum >= 0 ? sum + 0.5 : sum - 0.5), 65535),
    };
  return {
    weight: (w) => Math.trunc(w * FIXED_ONE + (w < 0 ? -0.5 : 0.5)),
    round: (sum) => clamp(Math.floor((sum + FIXED_ONE / 2) / FIXED_ONE), 255),
  };
}

function clamp(value: number, top: number): number {
  return value < 0 ? 0 : value > top ? top : value;
}

/**
 * Resamples along both axes; an axis without taps stays as it is.
 *
 * Pillow 13 begins with the columns where the height shrinks by more than twice what the width does; earlier versions
 * always begin with the rows. Up to rounding and clamping in between the result is the same.
 */
export function resample<T extends Samples>(
  image: Plane<T>,
  horizontal: readonly Taps[] | undefined,
  vertical: readonly Taps[] | undefined,
): Plane<T> {
  if (!horizontal) return vertical ? resampleColumns(image, vertical) : image;
  if (!vertical) return resampleRows(image, horizontal);
  const shrinks = image.height - vertical.length;
  const columnsFirst = shrinks > 0 && shrinks > 2 * (image.width - horizontal.length);
  return columnsFirst
    ? resampleRows(resampleColumns(image, vertical), horizontal)
    : resampleColumns(resampleRows(image, horizontal), vertical);
}

function resampleRows<T extends Samples>(
  { width, height, channels, data }: Plane<T>,
  taps: readonly Taps[],
): Plane<T> {
  const { weight, round } = arithmeticOf(data);
  const scaled = taps.map(({ weights }) => weights.map(weight));
  const out = like(data, taps.length * height * channels);
  for (let y = 0, to = 0; y < height; y++)
    for (let x = 0; x < taps.length; x++) {
      const weights = scaled[x];
      const start = (y * width + taps[x].first) * channels;
      for (let c = 0; c < channels; c++, to++) {
        let sum = 0;
        for (let k = 0, at = start + c; k < weights.length; k++, at += channels)
          sum += weights[k] * data[at];
        out[to] = round(sum);
      }
    }
  return { width: taps.length, height, channels, data: out };
}

function resampleColumns<T extends Samples>(
  { width, channels, data }: Plane<T>,
  taps: readonly Taps[],
): Plane<T> {
  const { weight, round } = arithmeticOf(data);
  const row = width * channels;
  const out = like(data, taps.length * row);
  taps.forEach(({ first, weights: real }, y) => {
    const weights = real.map(weight);
    const sums = new Float64Array(row);
    for (let k = 0; k < weights.length; k++) {
      const start = (first + k) * row;
      for (let i = 0; i < row; i++) sums[i] += weights[k] * data[start + i];
    }
    for (let i = 0; i < row; i++) out[y * row + i] = round(sums[i]);
  });
  return { width, height: taps.length, channels, data: out };
}

function like<T extends Samples>(data: T, length: number): T {
  if (data instanceof Float32Array) return new Float32Array(length) as T;
  return (data instanceof Uint16Array ? new Uint16Array(length) : new Uint8Array(length)) as T;
}
