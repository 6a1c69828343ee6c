/**
 * Resizing along one axis as a matrix: out = M · in, M [outputs, inputs].
 *
 * All of torch's `interpolate` modes and PIL-like antialiasing are linear and separable, so a resize of fixed
 * size is two matrix products, and its gradient is two products with the transposes. Coordinates are those of
 * torch.nn.functional.interpolate (align_corners, half pixel) and of nearest ("asymmetric": floor(i·in/out)).
 */
import type { ResizeCoordinates } from "./primitives.ts";

/** How values between samples are found. */
export type ResizeMode = "nearest" | "linear" | "cubic" | "area";

/** Options of {@link resizeMatrix}. */
export interface ResizeMatrixOptions {
  readonly mode: ResizeMode;
  readonly coordinates: ResizeCoordinates;
  /** Widen the filter when shrinking, as PIL does. @default false */
  readonly antialias?: boolean;
}

/** Weights [outputs × inputs], row-major, of a resize along one axis. */
export function resizeMatrix(
  inputs: number,
  outputs: number,
  options: ResizeMatrixOptions,
): Float64Array {
  const matrix = new Float64Array(outputs * inputs);
  for (let row = 0; row < outputs; row++)
    for (const [column, weight] of taps(row, inputs, outputs, options)) {
      const clamped = Math.min(inputs - 1, Math.max(0, column));
      matrix[row * inputs + clamped] += weight;
    }
  return matrix;
}

function taps(
  row: number,
  inputs: number,
  outputs: number,
  { mode, coordinates, antialias = false }: ResizeMatrixOptions,
): [number, number][] {
  const scale = inputs / outputs;
  if (mode === "nearest") return [[Math.floor(row * scale), 1]];
  if (mode === "area") return areaTaps(row, inputs, outputs);
  if (antialias) return antialiasedTaps(row, inputs, scale, mode);
  const centre = sourceCoordinate(row, inputs, outputs, coordinates, mode);
  const left = Math.floor(centre);
  const t = centre - left;
  if (mode === "linear")
    return [
      [left, 1 - t],
      [left + 1, t],
    ];
  return [-1, 0, 1, 2].map((offset) => [left + offset, cubic(t - offset, -0.75)]);
}

function sourceCoordinate(
  row: number,
  inputs: number,
  outputs: number,
  coordinates: ResizeCoordinates,
  mode: ResizeMode,
): number {
  if (coordinates === "align_corners")
    return outputs === 1 ? 0 : (row * (inputs - 1)) / (outputs - 1);
  const scale = inputs / outputs;
  if (coordinates === "asymmetric") return row * scale;
  const centre = (row + 0.5) * scale - 0.5;
  return mode === "linear" ? Math.max(0, centre) : centre;
}

/** adaptive_avg_pool: the mean of inputs floor(i·in/out) … ceil((i+1)·in/out) − 1. */
function areaTaps(row: number, inputs: number, outputs: number): [number, number][] {
  const start = Math.floor((row * inputs) / outputs);
  const end = Math.ceil(((row + 1) * inputs) / outputs);
  return Array.from({ length: end - start }, (_, i) => [start + i, 1 / (end - start)]);
}

/** The filter stretched by the scale when shrinking, normalised (PIL, torch antialias=True; cubic with a = −0.5). */
function antialiasedTaps(
  row: number,
  inputs: number,
  scale: number,
  mode: "linear" | "cubic",
): [number, number][] {
  const stretch = Math.max(1, scale);
  const support = (mode === "linear" ? 1 : 2) * stretch;
  const centre = (row + 0.5) * scale;
  const start = Math.max(0, Math.floor(centre - support + 0.5));
  const end = Math.min(inputs, Math.floor(centre + support + 0.5));
  const weights = Array.from({ length: end - start }, (_, i) => {
    const x = (start + i + 0.5 - centre) / stretch;
    return mode === "linear" ? Math.max(0, 1 - Math.abs(x)) : cubic(x, -0.5);
  });
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  return weights.map((weight, i) => [start + i, weight / total]);
}

/** Keys' cubic convolution kernel. */
function cubic(x: number, a: number): number {
  const d = Math.abs(x);
  if (d <= 1) return ((a + 2) * d - (a + 3)) * d * d + 1;
  if (d < 2) return (((d - 5) * d + 8) * d - 4) * a;
  return 0;
}
