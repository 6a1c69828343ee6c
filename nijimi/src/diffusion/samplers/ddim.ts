/**
 * DDIM: Song et al. 2021, "Denoising Diffusion Implicit Models" (arXiv:2010.02502), eq. 12 and 16,
 * for any eta. x' = α'·x0 + √(σ'² − s²)·ε + s·noise with s = eta·√β̃, β̃ the variance of DDPM's
 * posterior for the step.
 */
import type { Tensor } from "../../tensor/tensor.ts";
import { NijimiError } from "../../errors.ts";
import { combine, epsOf } from "./arithmetic.ts";
import { beginLoop, checkRange } from "./loop.ts";
import { posteriorVariance } from "./posterior.ts";
import type { Level } from "./space.ts";
import type { Prediction, SamplerInput, SamplerRun } from "./types.ts";

/** Options of {@link ddim}. */
export interface DdimOptions {
  /** 0: deterministic. 1: the variance of DDPM. @default 0 */
  readonly eta?: number;
  /**
   * Level each step goes to, where that is not the level the next one starts from: diffusers always
   * goes T/n timesteps on, also with spacings that have other strides. @default sigmas[i + 1]
   */
  readonly targets?: ArrayLike<number>;
  /** Scale of the added noise (LDM's `temperature`). @default 1 */
  readonly sNoise?: number;
}

/**
 * DDIM. Order 1, one evaluation a step; deterministic at eta 0.
 *
 * @example
 * const run = ddim({ denoise, x, sigmas, space: "vp", eta: 0 });
 */
export async function* ddim(input: SamplerInput & DdimOptions): SamplerRun {
  const { eta = 0, sNoise = 1 } = input;
  checkRange("ddim", "eta", eta, 0, 1);
  const loop = beginLoop("ddim", input, { stochastic: eta > 0 });
  const target = targetLevels("ddim", input.targets, loop.levels, loop.level);
  let { x } = loop;
  for (let step = loop.first; step < loop.steps; step++) {
    const from = loop.levels[step];
    const to = target(step);
    const prediction = await loop.evaluate(x, from, step);
    x = ddimStep(
      x,
      prediction,
      from,
      to,
      eta,
      eta > 0 ? [sNoise, loop.noise(from, to)] : undefined,
    );
    yield { ...loop.finished(step, x, prediction.denoised), sigma: to.sigma };
  }
}

/** One DDIM step. `noise` is needed when eta > 0. */
export function ddimStep(
  x: Tensor<"float32">,
  prediction: Prediction,
  from: Level,
  to: Level,
  eta = 0,
  noise?: readonly [scale: number, noise: Tensor<"float32">],
): Tensor<"float32"> {
  const s = eta === 0 ? 0 : eta * Math.sqrt(posteriorVariance(from, to));
  const direction = Math.sqrt(Math.max(0, to.std ** 2 - s ** 2));
  const eps = epsOf(x, prediction, from);
  const drawn = noise && s > 0 ? ([[s * noise[0], noise[1]]] as const) : [];
  return combine([to.alpha, prediction.denoised], [direction, eps], ...drawn);
}

/** The level step i goes to. */
export function targetLevels(
  sampler: string,
  targets: ArrayLike<number> | undefined,
  levels: readonly Level[],
  level: (sigma: number) => Level,
): (step: number) => Level {
  if (!targets) return (step) => levels[step + 1];
  if (targets.length !== levels.length - 1)
    throw new NijimiError(
      "option",
      `${sampler}: targets need one level per step, ${levels.length - 1}; got ${targets.length}.`,
    );
  return (step) => level(targets[step]);
}
