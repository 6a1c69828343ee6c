/**
 * Resampling of a rectangle by separable filters that widen when shrinking, as PIL's `resize(box=…)` does, in floats.
 * Coordinates are those of half-pixel centres.
 */
import { FILTERS, type Taps, tapsOf } from "../../images/resize/filters.ts";
import type { ResampleFilter } from "./options.ts";

/** A rectangle in pixels of the source; edges may lie between pixels. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** The box of a plane [height × width] at another size; what lies outside the plane does not count. */
export function resample(
  plane: Float32Array,
  width: number,
  height: number,
  box: Box,
  outWidth: number,
  outHeight: number,
  filter: ResampleFilter,
): Float32Array {
  const whole = box.left === 0 && box.top === 0 && box.width === width && box.height === height;
  if (whole && outWidth === width && outHeight === height) return plane;
  const columns = taps(width, box.left, box.width, outWidth, filter);
  const rows = taps(height, box.top, box.height, outHeight, filter);
  const [firstRow, lastRow] = [
    Math.min(...rows.map(({ first }) => first)),
    Math.max(...rows.map(({ first, weights }) => first + weights.length)),
  ];
  const middle = new Float32Array(outWidth * height);
  for (let y = firstRow; y < lastRow; y++)
    for (let x = 0; x < outWidth; x++) {
      const { first, weights } = columns[x];
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * plane[y * width + first + k];
      middle[y * outWidth + x] = sum;
    }
  const out = new Float32Array(outWidth * outHeight);
  for (let y = 0; y < outHeight; y++) {
    const { first, weights } = rows[y];
    for (let k = 0; k < weights.length; k++) {
      const weight = weights[k];
      const from = (first + k) * outWidth;
      for (let x = 0; x < outWidth; x++) out[y * outWidth + x] += weight * middle[from + x];
    }
  }
  return out;
}

/** For each output the inputs it is made of along one axis. */
function taps(
  size: number,
  from: number,
  length: number,
  outputs: number,
  filter: ResampleFilter,
): readonly Taps[] {
  if (filter !== "nearest") return tapsOf(FILTERS[filter], size, from, from + length, outputs);
  return Array.from({ length: outputs }, (_, i) => {
    const nearest = Math.floor(from + ((i + 0.5) * length) / outputs);
    return { first: Math.min(size - 1, Math.max(0, nearest)), weights: Float64Array.of(1) };
  });
}
