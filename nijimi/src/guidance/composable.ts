/**
 * Composable prompts, "a castle AND at night :0.8" (Liu et al. 2022, "Compositional Visual
 * Generation with Composable Diffusion Models", arXiv:2206.01714, eq. 11; A1111's `AND`): uncond +
 * s·Σ wᵢ·(condᵢ − uncond).
 */
import { NijimiError } from "../errors.ts";
import { combine } from "../diffusion/samplers/arithmetic.ts";
import { type ClassifierFreeOptions, guidanceScaleAt } from "./classifier-free.ts";
import { COND, type Guidance, UNCOND } from "./types.ts";

/** The branch of the i-th part: the first one is `cond`. */
export function promptBranch(index: number): string {
  return index === 0 ? COND : `${COND}:${index}`;
}

/**
 * Guidance towards several prompts at once; with one prompt of weight 1 it is classifier-free
 * guidance.
 *
 * @param weights of the parts, negative ones included
 */
export function composable({
  weights,
  ...options
}: ClassifierFreeOptions & { readonly weights: readonly number[] }): Guidance {
  if (weights.length === 0 || !weights.every(Number.isFinite))
    throw new NijimiError(
      "option",
      `composable: give at least one finite weight; got [${weights}].`,
    );
  return {
    branches: () => [...weights.map((_, i) => promptBranch(i)), UNCOND],
    combine: (predictions, at) => {
      const scale = guidanceScaleAt(options, at);
      const total = weights.reduce((sum, weight) => sum + weight, 0);
      return combine(
        [1 - scale * total, predictions[UNCOND]],
        ...weights.map((weight, i) => [scale * weight, predictions[promptBranch(i)]] as const),
      );
    },
  };
}
