/**
 * CFG++: Chung et al. 2024, "CFG++: Manifold-constrained Classifier Free Guidance for Diffusion
 * Models" (arXiv:2406.08070), algorithm 1: step with the guided x0 but renoise with the
 * unconditional ε. The denoiser gives the guided x0 as `denoised` and the unconditional noise as
 * `eps`; then DDIM's step is CFG++'s.
 */
import { NijimiError } from "../../errors.ts";
import { ancestralStep } from "./ancestral-step.ts";
import { combine } from "./arithmetic.ts";
import { ddim, type DdimOptions } from "./ddim.ts";
import { type AncestralOptions, checkAncestral } from "./euler-ancestral.ts";
import { beginLoop } from "./loop.ts";
import type { Denoiser, SamplerInput, SamplerRun } from "./types.ts";

/** DDIM CFG++. Order 1, one (guided) evaluation a step. */
export function ddimCfgPlusPlus(input: SamplerInput & DdimOptions): SamplerRun {
  return ddim({ ...input, denoise: withUnconditionalEps("ddimCfgPlusPlus", input.denoise) });
}

/**
 * Euler CFG++ (and, with eta > 0, Euler a CFG++): x' = α_down·x0 + σ_down·ε_uncond + σ_up·noise.
 * Order 1.
 */
export async function* eulerCfgPlusPlus(input: SamplerInput & AncestralOptions): SamplerRun {
  const { eta = 0, sNoise = 1 } = input;
  checkAncestral("eulerCfgPlusPlus", { eta, sNoise });
  const denoise = withUnconditionalEps("eulerCfgPlusPlus", input.denoise);
  const loop = beginLoop("eulerCfgPlusPlus", { ...input, denoise }, { stochastic: eta > 0 });
  let { x } = loop;
  for (let step = loop.first; step < loop.steps; step++) {
    const from = loop.levels[step];
    const to = loop.levels[step + 1];
    const { denoised, eps } = await loop.evaluate(x, from, step);
    const { down, keep, up } = ancestralStep(loop.space, from, to, eta);
    const noise = up > 0 ? ([[sNoise * up, loop.noise(from, to)]] as const) : [];
    x = combine([keep * down.alpha, denoised], [keep * down.std, eps!], ...noise);
    yield loop.finished(step, x, denoised);
  }
}

function withUnconditionalEps(sampler: string, denoise: Denoiser): Denoiser {
  return async (x, sigma, context) => {
    const prediction = await denoise(x, sigma, context);
    if (prediction.eps) return prediction;
    throw new NijimiError(
      "option",
      `${sampler}: CFG++ needs the unconditional noise as \`eps\` of every prediction; use a guidance that gives it, or another sampler.`,
    );
  };
}
