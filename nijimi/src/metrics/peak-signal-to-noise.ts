/** Mean squared error and peak signal-to-noise ratio of two images. */
import { NijimiError } from "../errors.ts";
import { toFloat64 } from "../tensor/convert.ts";
import type { Tensor } from "../tensor/tensor.ts";

export interface RangeOption {
  /** Largest minus smallest possible value: 255 for 8 bits, 1 for [0, 1], 2 for [−1, 1]. @default 255 for uint8; floats must say */
  readonly range?: number;
}

/** Mean squared difference of two tensors of one shape. */
export function meanSquaredError(a: Tensor, b: Tensor): number {
  const [x, y] = sameShape(a, b, "meanSquaredError");
  let sum = 0;
  for (let i = 0; i < x.length; i++) sum += (x[i] - y[i]) ** 2;
  return sum / x.length;
}

/**
 * 10 · log₁₀(range² / MSE) in decibels; Infinity for equal images.
 *
 * @example
 * const decibels = peakSignalToNoise(original, reconstructed); // both uint8
 */
export function peakSignalToNoise(a: Tensor, b: Tensor, options: RangeOption = {}): number {
  const range = rangeOf(a, options, "peakSignalToNoise");
  return 10 * Math.log10(range ** 2 / meanSquaredError(a, b));
}

/** The range of values that the caller gave, or that 8 bits imply. */
export function rangeOf({ dtype }: Tensor, { range }: RangeOption, what: string): number {
  if (range !== undefined && range > 0) return range;
  if (range === undefined && dtype === "uint8") return 255;
  throw new NijimiError(
    "option",
    `${what}: range is ${range} for ${dtype} images; expected a positive number, e.g. 1 for values in [0, 1].`,
  );
}

/** The elements of two tensors of one shape. @throws NijimiError `shape` */
export function sameShape(a: Tensor, b: Tensor, what: string): [Float64Array, Float64Array] {
  if (a.shape.join() !== b.shape.join())
    throw new NijimiError(
      "shape",
      `${what}: got [${a.shape}] and [${b.shape}]; expected images of one size.`,
    );
  return [toFloat64(a), toFloat64(b)];
}
