/**
 * CFG-Zero* for flow matching (Fan et al. 2025, arXiv:2503.18886, algorithm 1): the unconditional
 * velocity is scaled by s* = ⟨cond, uncond⟩/‖uncond‖², the projection that minimises the
 * difference, and the first steps, in which an early model's velocity is worse than none, are
 * zeroed.
 */
import { checkSteps } from "../diffusion/schedules/check.ts";
import { combinePerSample, dotPerSample } from "./statistics.ts";
import { COND, type Guidance, type Scale, scaleAt, UNCOND } from "./types.ts";

/**
 * s*·uncond + scale·(cond − s*·uncond); 1 is no guidance.
 *
 * @param options `zeroSteps`: first steps whose velocity is 0 @default 0; the paper zeroes the
 *   first 4 %
 */
export function cfgZeroStar({
  guidanceScale,
  zeroSteps = 0,
}: {
  readonly guidanceScale: Scale;
  readonly zeroSteps?: number;
}): Guidance {
  checkSteps("cfgZeroStar", zeroSteps, { minimum: 0, name: "zeroSteps" });
  return {
    branches: ({ step }) => (step < zeroSteps ? [COND] : [COND, UNCOND]),
    combine: ({ [COND]: cond, [UNCOND]: uncond }, at) => {
      if (at.step < zeroSteps) return { ...cond, data: new Float32Array(cond.data.length) };
      const scale = scaleAt(guidanceScale, at);
      const lengths = dotPerSample(uncond, uncond);
      const projections = dotPerSample(cond, uncond).map((dot, b) => dot / (lengths[b] + 1e-8));
      return combinePerSample(
        cond,
        projections.map(() => scale),
        uncond,
        projections.map((projection) => (1 - scale) * projection),
      );
    },
  };
}
