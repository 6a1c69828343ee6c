/** A network and its preconditioning as the denoiser that samplers call. */
import { NijimiError } from "../../errors.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { combine } from "../samplers/arithmetic.ts";
import { levelOf } from "../samplers/space.ts";
import type { DenoiseContext, Denoiser, Prediction } from "../samplers/types.ts";
import type { X0Transform } from "./clipping.ts";
import type { Preconditioning } from "./preconditioning.ts";
import type { Mixture } from "./prediction.ts";
import { isLearned, type VarianceType } from "./variance.ts";

type F32 = Tensor<"float32">;

/**
 * A network as the adapters call it.
 *
 * @param x its input, already scaled by cIn: [B, C, …]
 * @param cNoise what it is told about the noise level, the same for the whole batch
 * @returns [B, C, …], or [B, 2C, …] when it also gives a variance
 */
export type Network = (x: F32, cNoise: number, context: DenoiseContext) => F32 | Promise<F32>;

/** Options of {@link denoiserOf}. */
export interface DenoiserOptions {
  /** Applied to x0: {@link clipX0}, {@link dynamicThreshold}. @default none */
  readonly transform?: X0Transform;
  /**
   * Keep the network's ε where `transform` changed x0, as diffusers' DDIM does; otherwise samplers
   * derive ε from the changed x0. @default false
   */
  readonly keepEps?: boolean;
  /** What a second half of the output's channels means. @default "fixed-small": nothing */
  readonly variance?: VarianceType;
}

/**
 * D(x, σ) = cSkip·x + cOut·F(cIn·x, cNoise).
 *
 * @throws NijimiError `shape` when the network's output is neither of x's shape nor of twice its
 *   channels
 * @example
 * const table = discreteSigmasOf(diffusionTables(makeBetas()).alphasCumprod);
 * const denoise = denoiserOf(unet, discretePreconditioning(table, { prediction: "v" }), { transform: clipX0() });
 */
export function denoiserOf(
  network: Network,
  { space, at }: Preconditioning,
  { transform, keepEps = false, variance = "fixed-small" }: DenoiserOptions = {},
): Denoiser {
  const learned = isLearned(variance);
  return async (x, sigma, context): Promise<Prediction> => {
    const { cSkip, cOut, cIn, cNoise } = at(sigma);
    const output = await network(cIn === 1 ? x : combine([cIn, x]), cNoise, context);
    const [mean, second] = splitVariance(output, x.shape, learned);
    const raw = combine([cSkip, x], [cOut, mean]);
    return {
      denoised: transform ? transform(raw) : raw,
      ...(keepEps && transform && { eps: noiseOf(x, raw, levelOf(space, sigma)) }),
      ...(second && learnedVariance(variance, second)),
    };
  };
}

/** The noise that x holds if `x0` is right. */
export function noiseOf(x: F32, x0: F32, { alpha, std }: Mixture): F32 {
  return combine([1 / std, x], [-alpha / std, x0]);
}

/** The second half of an output under the name that samplers know. */
export function learnedVariance(
  type: VarianceType,
  second: F32,
): Pick<Prediction, "logVariance" | "varianceRange"> {
  return type === "learned" ? { logVariance: second } : { varianceRange: second };
}

/**
 * Cuts [B, 2C, …] into the mean's and the variance's channels. A variance that is not asked for is
 * left out (ADM's networks run with a fixed variance as well).
 */
export function splitVariance(
  output: F32,
  shape: readonly number[],
  learned: boolean,
): readonly [F32, F32?] {
  const doubled = output.shape.length === shape.length && output.shape[1] === 2 * shape[1];
  const fits = output.shape.every((dim, axis) => dim === shape[axis] || (axis === 1 && doubled));
  if (!fits || output.shape.length !== shape.length || (learned && !doubled))
    throw new NijimiError(
      "shape",
      `The network returned [${output.shape}] for a state of [${shape}]; expected ${
        learned
          ? "twice the channels: mean and variance."
          : "the same shape, or twice the channels."
      }`,
    );
  if (!doubled) return [output];
  return learned ? [half(output, shape, 0), half(output, shape, 1)] : [half(output, shape, 0)];
}

function half(output: F32, shape: readonly number[], which: 0 | 1): F32 {
  const size = output.data.length / 2 / shape[0];
  const data = new Float32Array(output.data.length / 2);
  for (let b = 0; b < shape[0]; b++) {
    const from = (2 * b + which) * size;
    data.set(output.data.subarray(from, from + size), b * size);
  }
  return { dtype: "float32", shape, data };
}
