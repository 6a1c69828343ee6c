/**
 * CFG++ (Chung et al. 2024, arXiv:2406.08070): x0 is guided with a scale λ ∈ [0, 1], and renoising
 * uses the noise of the unconditional prediction, so that samples stay on the manifold. Use it with
 * the samplers `ddimCfgPlusPlus` and `eulerCfgPlusPlus`, which take that noise from the
 * prediction's `eps`.
 */
import { guide } from "./classifier-free.ts";
import { COND, type Guidance, type Scale, scaleAt, UNCOND } from "./types.ts";

/**
 * x0 = uncond + λ·(cond − uncond), ε = ε of uncond. @param options.guidanceScale λ, mostly 0.2 … 1
 */
export function cfgPlusPlus({ guidanceScale }: { readonly guidanceScale: Scale }): Guidance {
  return {
    branches: () => [COND, UNCOND],
    combine: ({ [COND]: cond, [UNCOND]: uncond }, at) => ({
      prediction: guide(cond, uncond, scaleAt(guidanceScale, at)),
      epsFrom: uncond,
    }),
  };
}
