/**
 * Classifier guidance (Dhariwal & Nichol 2021, ADM, arXiv:2105.05233): the gradient g = ∇ log
 * p(y|x_t) of a classifier of noisy images shifts the mean of an ancestral step by s·Σ·g (algorithm
 * 1), or the noise of a DDIM step by −√(1 − ᾱ)·s·g (algorithm 2).
 */
import type { Tensor } from "../tensor/tensor.ts";
import { combine, epsOf } from "../diffusion/samplers/arithmetic.ts";
import { levelOf } from "../diffusion/samplers/space.ts";
import type { DenoiseContext, Denoiser, Space } from "../diffusion/samplers/types.ts";
import { type Scale, scaleAt } from "./types.ts";
import { checkSameShape } from "./statistics.ts";

type F32 = Tensor<"float32">;

/** ∇ₓ log p(y|x_t) at a state of the sampler's space. */
export type ClassifierGradient = (
  x: F32,
  sigma: number,
  context: DenoiseContext,
) => F32 | Promise<F32>;

/** Algorithm 1: mean + s·Σ·g, with log Σ per element or one for all. */
export function shiftMean(mean: F32, logVariance: F32 | number, gradient: F32, scale = 1): F32 {
  checkSameShape("shiftMean", mean, gradient);
  if (typeof logVariance === "number")
    return combine([1, mean], [scale * Math.exp(logVariance), gradient]);
  return {
    ...mean,
    data: mean.data.map(
      (value, i) => value + scale * Math.exp(logVariance.data[i]) * gradient.data[i],
    ),
  };
}

/** Algorithm 2: ε − σ_t·s·g. @param std σ_t = √(1 − ᾱ_t) */
export function shiftEps(eps: F32, std: number, gradient: F32, scale = 1): F32 {
  checkSameShape("shiftEps", eps, gradient);
  return combine([1, eps], [-std * scale, gradient]);
}

/**
 * A denoiser guided in the DDIM form, for every sampler: ε' = ε − σ_t·s·g and x0' from ε'. x0 is
 * not clipped again.
 *
 * @param options `space`: the sampler's @default "vp"
 */
export function classifierGuided(
  denoise: Denoiser,
  {
    gradient,
    scale = 1,
    space = "vp",
  }: { readonly gradient: ClassifierGradient; readonly scale?: Scale; readonly space?: Space },
): Denoiser {
  return async (x, sigma, context) => {
    const prediction = await denoise(x, sigma, context);
    const g = await gradient(x, sigma, context);
    const level = levelOf(space, sigma);
    const eps = shiftEps(
      epsOf(x, prediction, level),
      level.std,
      g,
      scaleAt(scale, { sigma, step: context.step }),
    );
    return {
      ...prediction,
      eps,
      denoised: combine([1 / level.alpha, x], [-level.std / level.alpha, eps]),
    };
  };
}

/**
 * A denoiser guided by algorithm 1, for the ancestral sampler `ddpm`: it leaves x0 alone and hands
 * s·g to the sampler, which knows the variance that multiplies it.
 */
export function classifierShifted(
  denoise: Denoiser,
  { gradient, scale = 1 }: { readonly gradient: ClassifierGradient; readonly scale?: Scale },
): Denoiser {
  return async (x, sigma, context) => {
    const prediction = await denoise(x, sigma, context);
    const g = await gradient(x, sigma, context);
    const meanGradient = combine([scaleAt(scale, { sigma, step: context.step }), g]);
    return { ...prediction, meanGradient };
  };
}
