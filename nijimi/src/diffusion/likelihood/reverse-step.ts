/**
 * p(x_{t−1}|x_t) of a discrete diffusion model from its network's output, on the host in float64
 * (Ho et al. 2020, arXiv:2006.11239, eq. 7 and 11; Nichol & Dhariwal 2021, arXiv:2102.09672, eq.
 * 15).
 */
import type { Tensor } from "../../tensor/tensor.ts";
import type { X0Transform } from "../parameterisations/clipping.ts";
import { splitVariance } from "../parameterisations/denoiser.ts";
import { type PredictionType, x0Coefficients } from "../parameterisations/prediction.ts";
import {
  fixedLogVariance,
  interpolateLogVariance,
  isLearned,
  logVarianceRange,
  type VarianceType,
} from "../parameterisations/variance.ts";
import type { DiffusionTables } from "../schedules/diffusion-tables.ts";

/** How an output is read. */
export interface ReverseStepOptions {
  /** What the network predicts; "previous-mean" is Improved DDPM's `PREVIOUS_X`. @default "eps" */
  readonly prediction?: PredictionType | "previous-mean";
  /** @default "fixed-small" */
  readonly variance?: VarianceType;
  /** Applied to x0 before the mean is computed from it. @default none */
  readonly transform?: X0Transform;
}

/** A Gaussian per element, and the estimates it came from. */
export interface ReverseStep {
  readonly mean: Float64Array;
  readonly logVariance: Float64Array;
  readonly x0: Float64Array;
  /** Noise that x_t holds if x0 is right. */
  readonly eps: Float64Array;
}

/**
 * The step from timestep `t`, the same for the whole batch. `output` is [B, C, …] or [B, 2C, …].
 */
export function reverseStep(
  tables: DiffusionTables,
  t: number,
  x: Tensor<"float32">,
  output: Tensor<"float32">,
  { prediction = "eps", variance = "fixed-small", transform }: ReverseStepOptions = {},
): ReverseStep {
  const [raw, second] = splitVariance(output, x.shape, isLearned(variance));
  const c1 = tables.posteriorMeanCoef1[t];
  const c2 = tables.posteriorMeanCoef2[t];
  const alpha = Math.sqrt(tables.alphasCumprod[t]);
  const std = Math.sqrt(1 - tables.alphasCumprod[t]);
  const toX0 =
    prediction === "previous-mean"
      ? { x: -c2 / c1, output: 1 / c1 }
      : x0Coefficients(prediction, { alpha, std });
  const estimate = Float64Array.from(
    x.data,
    (value, i) => toX0.x * value + toX0.output * raw.data[i],
  );
  const x0 = transform
    ? Float64Array.from(transform({ ...x, data: Float32Array.from(estimate) }).data)
    : estimate;
  return {
    mean:
      prediction === "previous-mean"
        ? Float64Array.from(raw.data)
        : x0.map((value, i) => c1 * value + c2 * x.data[i]),
    logVariance: logVarianceOf(tables, t, variance, second?.data, x0.length),
    x0,
    eps: x0.map((value, i) => (x.data[i] - alpha * value) / std),
  };
}

function logVarianceOf(
  tables: DiffusionTables,
  t: number,
  type: VarianceType,
  learned: Float32Array | undefined,
  count: number,
): Float64Array {
  if (type === "fixed-small" || type === "fixed-large")
    return new Float64Array(count).fill(fixedLogVariance(tables, t, type));
  if (type === "learned") return Float64Array.from(learned!);
  const range = logVarianceRange(tables, t);
  return Float64Array.from(learned!, (v) => interpolateLogVariance(v, range));
}
