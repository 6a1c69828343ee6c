/**
 * Keeping the estimate of x0 in the range of pictures: a plain clip, or Saharia et al. 2022
 * (Imagen, arXiv:2205.11487), section 2.3, dynamic thresholding.
 */
import type { Tensor } from "../../tensor/tensor.ts";
import { checkNumber } from "../schedules/check.ts";

/** Changes an estimate of x0, e.g. clips it. */
export type X0Transform = (x0: Tensor<"float32">) => Tensor<"float32">;

/** x0 clipped to [−range, range]. @param range @default 1 */
export function clipX0(range = 1): X0Transform {
  checkNumber("clipX0", "range", range, { above: 0 });
  return ({ shape, data }) => ({
    dtype: "float32",
    shape,
    data: data.map((value) => Math.min(Math.max(value, -range), range)),
  });
}

/** Options of {@link dynamicThreshold}. */
export interface DynamicThresholdOptions {
  /** Quantile of |x0| per sample. @default 0.995 */
  readonly percentile?: number;
  /**
   * Largest threshold; diffusers' `sample_max_value`, whose 1 makes it a plain clip. @default
   * Infinity
   */
  readonly maximum?: number;
}

/**
 * Per sample: s = the quantile of |x0|, at least 1 and at most `maximum`; clip to [−s, s] and
 * divide by s.
 */
export function dynamicThreshold({
  percentile = 0.995,
  maximum = Infinity,
}: DynamicThresholdOptions = {}): X0Transform {
  checkNumber("dynamicThreshold", "percentile", percentile, { above: 0, below: 1.0000001 });
  return (x0) => {
    const data = new Float32Array(x0.data.length);
    const thresholds = dynamicThresholds(x0, { percentile, maximum });
    const size = data.length / thresholds.length;
    thresholds.forEach((s, b) => {
      for (let i = b * size; i < (b + 1) * size; i++)
        data[i] = Math.min(Math.max(x0.data[i], -s), s) / s;
    });
    return { dtype: "float32", shape: x0.shape, data };
  };
}

/** The thresholds s of {@link dynamicThreshold}, one per sample of the first axis. */
export function dynamicThresholds(
  { shape, data }: Tensor<"float32">,
  { percentile = 0.995, maximum = Infinity }: DynamicThresholdOptions = {},
): number[] {
  const size = data.length / shape[0];
  return Array.from({ length: shape[0] }, (_, b) => {
    const absolute = data.slice(b * size, (b + 1) * size).map(Math.abs);
    return Math.min(Math.max(quantile(absolute, percentile), 1), maximum);
  });
}

/**
 * Quantile with linear interpolation between the two nearest order statistics (torch's and numpy's
 * default).
 */
export function quantile(values: ArrayLike<number>, q: number): number {
  const sorted = Float64Array.from(values).sort();
  const position = q * (sorted.length - 1);
  const low = Math.floor(position);
  const high = Math.min(low + 1, sorted.length - 1);
  return sorted[low] + (position - low) * (sorted[high] - sorted[low]);
}
