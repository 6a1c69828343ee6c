/**
 * Ancestral sampling: Ho et al. 2020, "Denoising Diffusion Probabilistic Models"
 * (arXiv:2006.11239), algorithm 2, with the variances of that paper (σ² = β̃ or β) and the learned
 * ones of Improved DDPM (Nichol & Dhariwal 2021, arXiv:2102.09672, eq. 15). Steps may skip
 * timesteps: the posterior is that of the two levels, as in respaced processes.
 */
import type { Tensor } from "../../tensor/tensor.ts";
import { NijimiError } from "../../errors.ts";
import { combine } from "./arithmetic.ts";
import { targetLevels } from "./ddim.ts";
import { beginLoop, checkChoice } from "./loop.ts";
import { forwardVariance, posteriorMean, posteriorVariance } from "./posterior.ts";
import type { Level } from "./space.ts";
import type { Prediction, SamplerInput, SamplerRun } from "./types.ts";

/** Variance of a step: β̃, β, or what the network predicts. */
export const DDPM_VARIANCES = ["small", "large", "learned", "learned-range"] as const;
export type DdpmVariance = (typeof DDPM_VARIANCES)[number];

/** Options of {@link ddpm}. */
export interface DdpmOptions {
  /** @default "small" */
  readonly variance?: DdpmVariance;
  /**
   * Level each step goes to, where that is not the level the next one starts from. @default
   * sigmas[i + 1]
   */
  readonly targets?: ArrayLike<number>;
  /**
   * β of each step, where it is known better than as the difference of two levels (near σ = 0, in
   * tables of float32).
   * @default from the levels
   */
  readonly betas?: ArrayLike<number>;
  /** Scale of the added noise. @default 1 */
  readonly sNoise?: number;
  /** Leave the noise of the last step out, as every published implementation does. @default true */
  readonly noiselessEnd?: boolean;
}

/** Lowest β̃, where log β̃ is needed (diffusers clamps at this). */
const LEAST_VARIANCE = 1e-20;

/**
 * DDPM. Weak order 1, one evaluation a step; stochastic.
 *
 * @example
 * const run = ddpm({ denoise, x, sigmas, space: "vp", variance: "learned-range", noise });
 */
export async function* ddpm(input: SamplerInput & DdpmOptions): SamplerRun {
  const { variance = "small", sNoise = 1, noiselessEnd = true, betas } = input;
  checkChoice("ddpm", "variance", variance, DDPM_VARIANCES);
  const loop = beginLoop("ddpm", input, { stochastic: true });
  const target = targetLevels("ddpm", input.targets, loop.levels, loop.level);
  let { x } = loop;
  for (let step = loop.first; step < loop.steps; step++) {
    const from = loop.levels[step];
    const to = target(step);
    const prediction = await loop.evaluate(x, from, step);
    const beta = betas?.[step] ?? forwardVariance(from, to);
    const mean = posteriorMean(from, to, beta);
    x = combine([mean.x0, prediction.denoised], [mean.x, x]);
    const deviation = stepDeviation(variance, prediction, from, to, beta);
    if (prediction.meanGradient) x = shiftByVariance(x, deviation, prediction.meanGradient);
    if (!(noiselessEnd && step === loop.steps - 1))
      x = addScaledNoise(x, deviation, loop.noise(from, to), sNoise);
    yield { ...loop.finished(step, x, prediction.denoised), sigma: to.sigma };
  }
}

/** Standard deviation of a step's noise: one number, or one per element. */
function stepDeviation(
  variance: DdpmVariance,
  prediction: Prediction,
  from: Level,
  to: Level,
  beta: number,
): number | Float32Array {
  const small = Math.max(posteriorVariance(from, to, beta), LEAST_VARIANCE);
  switch (variance) {
    case "small":
      return Math.sqrt(small);
    case "large":
      return Math.sqrt(beta);
    case "learned":
      return needed(variance, "logVariance", prediction.logVariance).map((log) =>
        Math.exp(log / 2),
      );
    case "learned-range": {
      const [low, high] = [Math.log(small), Math.log(beta)];
      return needed(variance, "varianceRange", prediction.varianceRange).map((v) =>
        Math.exp((low + ((v + 1) / 2) * (high - low)) / 2),
      );
    }
  }
}

/** x + Σ·gradient: algorithm 1 of Dhariwal & Nichol 2021 (arXiv:2105.05233). */
function shiftByVariance(
  x: Tensor<"float32">,
  deviation: number | Float32Array,
  gradient: Tensor<"float32">,
): Tensor<"float32"> {
  return addScaledNoise(
    x,
    typeof deviation === "number" ? deviation ** 2 : deviation.map((d) => d * d),
    gradient,
    1,
  );
}

function addScaledNoise(
  x: Tensor<"float32">,
  deviation: number | Float32Array,
  noise: Tensor<"float32">,
  scale: number,
): Tensor<"float32"> {
  if (typeof deviation === "number") return combine([1, x], [scale * deviation, noise]);
  return { ...x, data: x.data.map((value, i) => value + scale * deviation[i] * noise.data[i]) };
}

function needed(
  variance: DdpmVariance,
  field: string,
  value: Tensor<"float32"> | undefined,
): Float32Array {
  if (value) return value.data;
  throw new NijimiError(
    "option",
    `ddpm: variance "${variance}" needs a denoiser that gives \`${field}\`; use "small" or "large" with networks that predict no variance.`,
  );
}
