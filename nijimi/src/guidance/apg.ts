/**
 * Adaptive projected guidance (Sadat et al. 2024, arXiv:2410.02416, algorithm 1): the difference Δ
 * = cond − uncond is averaged with negative momentum, cut to a length, and its part along the
 * conditional prediction, which saturates colours, is weakened. Acts on x0, as in the paper.
 */
import { NijimiError } from "../errors.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { combine } from "../diffusion/samplers/arithmetic.ts";
import { combinePerSample, dotPerSample } from "./statistics.ts";
import { COND, type Guidance, type Scale, scaleAt, UNCOND } from "./types.ts";

type F32 = Tensor<"float32">;

/** Options of {@link adaptiveProjectedGuidance}. */
export interface AdaptiveProjectedOptions {
  /** s: cond + (s − 1)·update; 1 is no guidance. */
  readonly guidanceScale: Scale;
  /** Factor of the part of Δ along cond; 1 is classifier-free guidance. @default 0 */
  readonly eta?: number;
  /**
   * Longest Δ per sample; 0 leaves it alone. @default 0; the paper's 15 is for Stable Diffusion XL
   */
  readonly normThreshold?: number;
  /**
   * Factor of the running average of Δ, which is added to Δ. @default 0; the paper's is −0.5 or
   * −0.75
   */
  readonly momentum?: number;
}

/**
 * Adaptive projected guidance. It remembers Δ from step to step and forgets at step 0: make one per
 * run.
 */
export function adaptiveProjectedGuidance({
  guidanceScale,
  eta = 0,
  normThreshold = 0,
  momentum = 0,
}: AdaptiveProjectedOptions): Guidance {
  if (![eta, normThreshold, momentum].every(Number.isFinite) || normThreshold < 0)
    throw new NijimiError(
      "option",
      `adaptiveProjectedGuidance: eta, momentum and normThreshold ≥ 0 must be finite; got ${eta}, ${momentum}, ${normThreshold}.`,
    );
  let average: F32 | undefined;
  return {
    domain: "x0",
    branches: () => [COND, UNCOND],
    combine: ({ [COND]: cond, [UNCOND]: uncond }, at) => {
      const difference = combine([1, cond], [-1, uncond]);
      if (momentum !== 0)
        average =
          average && at.step > 0 ? combine([1, difference], [momentum, average]) : difference;
      const update = projectedUpdate(average ?? difference, cond, { eta, normThreshold });
      return combine([1, cond], [scaleAt(guidanceScale, at) - 1, update]);
    },
  };
}

/** Δ cut to `normThreshold`, with its part along `cond` multiplied by `eta`, per sample. */
export function projectedUpdate(
  difference: F32,
  cond: F32,
  { eta, normThreshold }: { readonly eta: number; readonly normThreshold: number },
): F32 {
  const cuts = dotPerSample(difference, difference).map((squares) =>
    normThreshold > 0 ? Math.min(1, normThreshold / Math.sqrt(squares)) : 1,
  );
  const lengths = dotPerSample(cond, cond);
  // Δ_parallel = (Δ·c/c·c)·c, so Δ_⊥ + η·Δ_∥ = Δ − (1 − η)·Δ_∥
  const along = dotPerSample(difference, cond).map(
    (dot, b) => -(1 - eta) * cuts[b] * (dot / lengths[b] || 0),
  );
  return combinePerSample(difference, cuts, cond, along);
}
