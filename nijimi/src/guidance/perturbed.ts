/**
 * Guidance away from a weakened network: the base's prediction plus scale·(cond − weakened).
 *
 * - PAG, perturbed-attention guidance (Ahn et al. 2024, arXiv:2403.17377): self-attention maps
 *   replaced by the identity.
 * - SLG, skip-layer guidance (Stable Diffusion 3.5; Hyung et al. 2024, arXiv:2411.18664): some
 *   transformer layers left out.
 *
 * The network offers the weakened branch under the name given.
 */
import type { Tensor } from "../tensor/tensor.ts";
import { combine } from "../diffusion/samplers/arithmetic.ts";
import {
  COND,
  type Guidance,
  type GuidanceContext,
  PERTURBED,
  type Scale,
  scaleAt,
  SKIPPED,
} from "./types.ts";

/** `base` + scale·(cond − branch). Where the scale is 0 the branch is not evaluated. */
export function awayFrom(base: Guidance, branch: string, scale: Scale): Guidance {
  const add = (
    guided: Tensor<"float32">,
    predictions: Readonly<Record<string, Tensor<"float32">>>,
    at: GuidanceContext,
  ) => {
    const s = scaleAt(scale, at);
    return s === 0
      ? guided
      : combine([1, guided], [s, predictions[COND]], [-s, predictions[branch]]);
  };
  return {
    ...base,
    branches: (at) => [...base.branches(at), ...(scaleAt(scale, at) === 0 ? [] : [branch])],
    combine: (predictions, at) => {
      const guided = base.combine(predictions, at);
      return "prediction" in guided
        ? { ...guided, prediction: add(guided.prediction, predictions, at) }
        : add(guided, predictions, at);
    },
  };
}

/** Perturbed-attention guidance on top of `base`. @param options.scale @default 3 */
export function perturbedAttention(
  base: Guidance,
  { scale = 3 }: { readonly scale?: Scale } = {},
): Guidance {
  return awayFrom(base, PERTURBED, scale);
}

/**
 * Skip-layer guidance on top of `base`, in a part of the steps.
 *
 * @param options `scale` @default 2.8; `start` and `end` are fractions of `steps` @default 0.01 and
 *   0.2, as Stability's
 */
export function skipLayers(
  base: Guidance,
  {
    steps,
    scale = 2.8,
    start = 0.01,
    end = 0.2,
  }: {
    readonly steps: number;
    readonly scale?: Scale;
    readonly start?: number;
    readonly end?: number;
  },
): Guidance {
  return awayFrom(base, SKIPPED, (at) =>
    at.step > start * steps && at.step < end * steps ? scaleAt(scale, at) : 0,
  );
}
