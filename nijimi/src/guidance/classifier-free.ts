/**
 * Classifier-free guidance (Ho & Salimans 2022, arXiv:2207.12598). Two formulas are in use:
 *
 * - `guidanceScale` s: uncond + s·(cond − uncond), as in Imagen, Stable Diffusion, diffusers and
 *   every user interface; 1 is no guidance;
 * - `guidanceStrength` w: cond + w·(cond − uncond), the paper's eq. 6; 0 is no guidance, and s = w
 *   + 1.
 *
 * A negative prompt takes the place of the empty one in `uncond`; nothing else changes.
 */
import { NijimiError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { combine } from "../diffusion/samplers/arithmetic.ts";
import { checkSameShape } from "./statistics.ts";
import { COND, type Guidance, type GuidanceContext, type Scale, scaleAt, UNCOND } from "./types.ts";

type F32 = Tensor<"float32">;

/** uncond + scale·(cond − uncond): the s formula. */
export function guide(cond: F32, uncond: F32, scale: number): F32 {
  checkSameShape("guide", cond, uncond);
  return combine([scale, cond], [1 - scale, uncond]);
}

/** One of the two formulas. */
export type ClassifierFreeOptions =
  | { readonly guidanceScale: Scale; readonly guidanceStrength?: undefined }
  | { readonly guidanceStrength: Scale; readonly guidanceScale?: undefined };

/** s of either formula at a noise level. */
export function guidanceScaleAt(
  { guidanceScale, guidanceStrength }: ClassifierFreeOptions,
  at: GuidanceContext,
): number {
  if ((guidanceScale === undefined) === (guidanceStrength === undefined))
    throw new NijimiError(
      "option",
      "Give guidanceScale (uncond + s·Δ) or guidanceStrength (cond + w·Δ), not both.",
    );
  return guidanceScale === undefined
    ? scaleAt(guidanceStrength!, at) + 1
    : scaleAt(guidanceScale, at);
}

/**
 * Classifier-free guidance. Where the scale is 1 the unconditional branch is not evaluated.
 *
 * @example
 * const guidance = classifierFree({ guidanceScale: 7.5 });
 */
export function classifierFree(options: ClassifierFreeOptions): Guidance {
  return {
    branches: (at) => (guidanceScaleAt(options, at) === 1 ? [COND] : [COND, UNCOND]),
    combine: ({ [COND]: cond, [UNCOND]: uncond }, at) =>
      uncond ? guide(cond, uncond, guidanceScaleAt(options, at)) : cond,
  };
}

/** No guidance: the conditional prediction. */
export const unguided: Guidance = Object.freeze({
  branches: () => [COND],
  combine: (predictions: Readonly<Record<string, F32>>) => predictions[COND],
});
