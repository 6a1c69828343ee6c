/** How a network's raw output at a level is read: as the denoiser of a sampler. */
import type { Tensor } from "../../../tensor/tensor.ts";
import { clipX0, dynamicThreshold, type X0Transform } from "../../parameterisations/clipping.ts";
import { type Network, splitVariance } from "../../parameterisations/denoiser.ts";
import {
  DIFFUSERS_PREDICTION_TYPES,
  epsCoefficients,
  type OutputCoefficients,
  type PredictionType,
  x0Coefficients,
} from "../../parameterisations/prediction.ts";
import { combine } from "../arithmetic.ts";
import { levelOf } from "../space.ts";
import type { Denoiser, Prediction, Space } from "../types.ts";
import type { DiffusersOptions } from "./options.ts";

type F32 = Tensor<"float32">;

/** The reading at one level. */
export interface Reading {
  /** Scale of the network's input. */
  readonly cIn: number;
  readonly timestep: number;
  readonly x0: OutputCoefficients;
  /** Where ε is wanted from the output itself. */
  readonly eps?: OutputCoefficients;
}

/** The reading at a level that the sampler asks about in a step. */
export type ReadingAt = (sigma: number, step: number) => Reading;

/** The timestep of a level that the sampler asks about in a step. */
export type TimestepAt = (sigma: number, step: number) => number;

/** Options of {@link readingDenoiser}. */
export interface ReadingOptions {
  readonly transform?: X0Transform;
  /** Meaning of a second half of the channels; without, it is left out. */
  readonly variance?: "learned" | "learned-range";
}

/**
 * The denoiser of a network. Its ε is the network's own where the reading has one, even when x0 is
 * changed.
 */
export function readingDenoiser(
  network: Network,
  at: ReadingAt,
  { transform, variance }: ReadingOptions = {},
): Denoiser {
  return async (x, sigma, context): Promise<Prediction> => {
    const { cIn, timestep, x0, eps } = at(sigma, context.step);
    const output = await network(cIn === 1 ? x : combine([cIn, x]), timestep, context);
    const [answer, second] = splitVariance(
      output,
      x.shape,
      variance !== undefined && output.shape[1] === 2 * x.shape[1],
    );
    const raw = combine([x0.x, x], [x0.output, answer]);
    return {
      denoised: transform ? transform(raw) : raw,
      ...(eps && { eps: combine([eps.x, x], [eps.output, answer]) }),
      ...(second && variance === "learned-range" && { varianceRange: second }),
      // diffusers' "learned" networks give the variance itself
      ...(second && variance === "learned" && { logVariance: logOf(second) }),
    };
  };
}

/** Our name of the config's `prediction_type`. */
export function predictionOf({ prediction_type }: DiffusersOptions): PredictionType {
  return DIFFUSERS_PREDICTION_TYPES[
    prediction_type === "original_sample" ? "sample" : prediction_type
  ];
}

/** The change to x0 that the config asks for: thresholding before clipping. */
export function transformOf(options: DiffusersOptions): X0Transform | undefined {
  if (options.thresholding)
    return dynamicThreshold({
      percentile: options.dynamic_thresholding_ratio,
      maximum: options.sample_max_value,
    });
  return options.clip_sample ? clipX0(options.clip_sample_range) : undefined;
}

/**
 * Readings of a network trained on `vp` states, for states of any space. `timestep` maps levels to
 * timesteps.
 */
export function discreteReading(
  prediction: PredictionType,
  space: Space,
  timestep: TimestepAt,
  { eps = false } = {},
): ReadingAt {
  return (sigma, step) => {
    const level = levelOf(space === "ve" ? "vp" : space, sigma);
    const cIn = space === "ve" ? level.alpha : 1;
    const scaled = ({ x, output }: OutputCoefficients) => ({ x: x * cIn, output });
    return {
      cIn,
      timestep: timestep(sigma, step),
      x0: scaled(x0Coefficients(prediction, level)),
      ...(eps && { eps: scaled(epsCoefficients(prediction, level)) }),
    };
  };
}

/**
 * Timesteps of a schedule by level: the step's own where it begins at the level, any step's that
 * does, or `otherwise`.
 */
export function timestepLookup(
  sigmas: ArrayLike<number>,
  timesteps: ArrayLike<number>,
  otherwise: (sigma: number) => number,
): TimestepAt {
  const known = new Map<number, number>();
  for (let i = timesteps.length - 1; i >= 0; i--) known.set(sigmas[i], timesteps[i]);
  return (sigma, step) =>
    sigmas[step] === sigma && step < timesteps.length
      ? timesteps[step]
      : (known.get(sigma) ?? otherwise(sigma));
}

function logOf(variance: F32): F32 {
  return { ...variance, data: variance.data.map(Math.log) };
}
