/**
 * Dynamic thresholding for latents (the "Dynamic Thresholding (CFG scale fix)" extension of A1111
 * and ComfyUI): the result of a high scale is squeezed into the range that a lower, "mimicked"
 * scale would have given. Acts on x0, channel by channel.
 */
import { unknownName } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { combine } from "../diffusion/samplers/arithmetic.ts";
import { quantile } from "../diffusion/parameterisations/clipping.ts";
import { guide } from "./classifier-free.ts";
import { COND, type Guidance, type Scale, scaleAt, UNCOND } from "./types.ts";

type F32 = Tensor<"float32">;

/** Options of {@link mimicThresholding}, under the extension's names. */
export interface MimicThresholdingOptions {
  /**
   * s of uncond + s·Δ. Functions of the step replace the extension's scale modes; see {@link
   * scheduledScale}.
   */
  readonly guidanceScale: Scale;
  /** Scale whose range is mimicked. @default 7 */
  readonly mimicScale?: Scale;
  /** Quantile that counts as the range of the high scale. @default 1 */
  readonly thresholdPercentile?: number;
  /** Measure every channel by itself. @default true */
  readonly separateChannels?: boolean;
  /** Scale around the channel's mean, or around zero. @default "mean" */
  readonly scalingStartpoint?: "mean" | "zero";
  /** Range by the largest absolute deviation, or by the standard deviation. @default "ad" */
  readonly variability?: "ad" | "std";
  /** Share of the thresholded result; the rest is the plain one. @default 1 */
  readonly interpolatePhi?: number;
}

/** Classifier-free guidance with mimicked range. */
export function mimicThresholding(options: MimicThresholdingOptions): Guidance {
  const { guidanceScale, mimicScale = 7 } = options;
  return {
    domain: "x0",
    branches: () => [COND, UNCOND],
    combine: ({ [COND]: cond, [UNCOND]: uncond }, at) =>
      mimic(
        guide(cond, uncond, scaleAt(guidanceScale, at)),
        guide(cond, uncond, scaleAt(mimicScale, at)),
        options,
      ),
  };
}

/** `guided` [B, C, …] brought into the range of `mimicked`. */
export function mimic(
  guided: F32,
  mimicked: F32,
  {
    thresholdPercentile = 1,
    separateChannels = true,
    scalingStartpoint = "mean",
    variability = "ad",
    interpolatePhi = 1,
  }: Omit<MimicThresholdingOptions, "guidanceScale" | "mimicScale"> = {},
): F32 {
  const [a, b] = [center(mimicked), center(guided)];
  const all = [[0, b.centered.length]] as const;
  const groups = separateChannels ? b.channels : all;
  const data = new Float32Array(guided.data.length);
  for (const [from, to] of groups) {
    const target = spread(a.centered.subarray(from, to), variability, 1);
    const range = spread(b.centered.subarray(from, to), variability, thresholdPercentile);
    const largest = Math.max(target, range);
    for (let i = from; i < to; i++) {
      const value = b.centered[i];
      if (scalingStartpoint === "zero") data[i] = (value + b.means[i]) * (target / range);
      else if (variability === "std") data[i] = (value / range) * target + b.means[i];
      else data[i] = (Math.min(Math.max(value, -largest), largest) / largest) * target + b.means[i];
    }
  }
  const result: F32 = { ...guided, data };
  return interpolatePhi === 1
    ? result
    : combine([interpolatePhi, result], [1 - interpolatePhi, guided]);
}

/** A scale that changes over the steps, by the extension's modes. */
export const SCALE_MODES = [
  "constant",
  "linear-down",
  "cosine-down",
  "half-cosine-down",
  "linear-up",
  "cosine-up",
  "half-cosine-up",
  "power-up",
  "power-down",
  "linear-repeating",
  "cosine-repeating",
  "sawtooth",
] as const;
export type ScaleMode = (typeof SCALE_MODES)[number];

/**
 * min + (scale − min)·f(step/(steps − 1)) with f by the mode.
 *
 * @param options `value`: exponent or number of repetitions @default 4
 */
export function scheduledScale(
  scale: number,
  {
    mode,
    steps,
    minimum = 0,
    value = 4,
  }: {
    readonly mode: ScaleMode;
    readonly steps: number;
    readonly minimum?: number;
    readonly value?: number;
  },
): Scale {
  if (!SCALE_MODES.includes(mode)) throw unknownName("scale mode", String(mode), SCALE_MODES);
  return ({ step }) =>
    minimum + (scale - minimum) * scaleCurve(mode, steps > 1 ? step / (steps - 1) : 0, value);
}

function scaleCurve(mode: ScaleMode, u: number, value: number): number {
  const portion = (u * value) % 1;
  switch (mode) {
    case "constant":
      return 1;
    case "linear-down":
      return 1 - u;
    case "cosine-down":
      return Math.cos((u * Math.PI) / 2);
    case "half-cosine-down":
      return Math.cos(u);
    case "linear-up":
      return u;
    case "cosine-up":
      return 1 - Math.cos((u * Math.PI) / 2);
    case "half-cosine-up":
      return 1 - Math.cos(u);
    case "power-up":
      return u ** value;
    case "power-down":
      return 1 - u ** value;
    case "linear-repeating":
      return portion < 0.5 ? (0.5 - portion) * 2 : (portion - 0.5) * 2;
    case "cosine-repeating":
      return Math.cos(u * 2 * Math.PI * value) * 0.5 + 0.5;
    case "sawtooth":
      return portion;
  }
}

/** Deviations from each channel's mean, the means, and where the channels lie. */
function center({ shape, data }: F32) {
  const size = data.length / (shape[0] * shape[1]);
  const centered = new Float32Array(data.length);
  const means = new Float32Array(data.length);
  const channels = Array.from(
    { length: shape[0] * shape[1] },
    (_, c) => [c * size, (c + 1) * size] as const,
  );
  for (const [from, to] of channels) {
    let mean = 0;
    for (let i = from; i < to; i++) mean += data[i] / size;
    means.fill(mean, from, to);
    for (let i = from; i < to; i++) centered[i] = data[i] - mean;
  }
  return { centered, means, channels };
}

function spread(values: Float32Array, variability: "ad" | "std", percentile: number): number {
  if (variability === "ad") return quantile(values.map(Math.abs), percentile);
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return Math.sqrt(
    values.reduce((sum, value) => sum + (value - mean) ** 2, 0) / (values.length - 1),
  );
}
