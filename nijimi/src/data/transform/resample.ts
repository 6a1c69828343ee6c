/**
 * Resampling of a rectangle by separable filters that widen when shrinking, as PIL's `resize(box=…)` does, in floats.
 * Coordinates are those of half-pixel centres.
 */
import type { ResampleFilter } from "./options.ts";

/** A rectangle in pixels of the source; edges may lie between pixels. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

interface Kernel {
  /** Where the filter ends, in pixels of the coarser of both grids. */
  readonly support: number;
  weight(x: number): number;
}

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

const KERNELS = {
  nearest: { support: 0, weight: () => 1 },
  box: { support: 0.5, weight: (x) => (x > -0.5 && x <= 0.5 ? 1 : 0) },
  bilinear: { support: 1, weight: (x) => Math.max(0, 1 - Math.abs(x)) },
  bicubic: { support: 2, weight: (x) => cubic(Math.abs(x), -0.5) },
  lanczos: { support: 3, weight: (x) => (Math.abs(x) < 3 ? sinc(x) * sinc(x / 3) : 0) },
} as const satisfies Record<ResampleFilter, Kernel>;

/** Keys' cubic convolution kernel (1981) for x ≥ 0. */
function cubic(x: number, a: number): number {
  if (x < 1) return ((a + 2) * x - (a + 3)) * x * x + 1;
  return x < 2 ? (((x - 5) * x + 8) * x - 4) * a : 0;
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
    Math.min(...rows.map(({ start }) => start)),
    Math.max(...rows.map(({ start, weights }) => start + weights.length)),
  ];
  const middle = new Float32Array(outWidth * height);
  for (let y = firstRow; y < lastRow; y++)
    for (let x = 0; x < outWidth; x++) {
      const { start, weights } = columns[x];
      let sum = 0;
      for (let k = 0; k < weights.length; k++) sum += weights[k] * plane[y * width + start + k];
      middle[y * outWidth + x] = sum;
    }
  const out = new Float32Array(outWidth * outHeight);
  for (let y = 0; y < outHeight; y++) {
    const { start, weights } = rows[y];
    for (let k = 0; k < weights.length; k++) {
      const weight = weights[k];
      const from = (start + k) * outWidth;
      for (let x = 0; x < outWidth; x++) out[y * outWidth + x] += weight * middle[from + x];
    }
  }
  return out;
}

interface Taps {
  readonly start: number;
  readonly weights: readonly number[];
}

/** For each output the inputs it is made of along one axis. */
function taps(
  size: number,
  from: number,
  length: number,
  outputs: number,
  filter: ResampleFilter,
): Taps[] {
  const { support, weight } = KERNELS[filter];
  const scale = length / outputs;
  const stretch = Math.max(1, scale);
  return Array.from({ length: outputs }, (_, i) => {
    const centre = from + (i + 0.5) * scale;
    if (filter === "nearest")
      return { start: Math.min(size - 1, Math.max(0, Math.floor(centre))), weights: [1] };
    const start = Math.max(0, Math.floor(centre - support * stretch + 0.5));
    const end = Math.min(size, Math.floor(centre + support * stretch + 0.5));
    const raw = Array.from({ length: end - start }, (_, k) =>
      weight((start + k + 0.5 - centre) / stretch),
    );
    const total = raw.reduce((sum, value) => sum + value, 0);
    return { start, weights: raw.map((value) => value / total) };
  });
}
