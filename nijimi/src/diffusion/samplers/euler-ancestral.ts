/**
 * Euler with ancestral noise: k-diffusion's `sample_euler_ancestral`. In noise : signal ratios this
 * is DDIM with the same eta (Song et al. 2021, arXiv:2010.02502, eq. 12 and 16), and with eta 1
 * ancestral sampling of DDPM.
 */
import { ancestralCoefficients, ancestralStep } from "./ancestral-step.ts";
import { combine } from "./arithmetic.ts";
import { beginLoop, checkRange } from "./loop.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/** Options of ancestral samplers. */
export interface AncestralOptions {
  /** Share of the posterior's noise: 0 deterministic, 1 full. @default 1 */
  readonly eta?: number;
  /** Scale of the added noise. @default 1 */
  readonly sNoise?: number;
}

/** Refuses options that make no sense. */
export function checkAncestral(sampler: string, { eta = 1, sNoise = 1 }: AncestralOptions): void {
  checkRange(sampler, "eta", eta, 0);
  checkRange(sampler, "sNoise", sNoise, 0);
}

/**
 * Euler a. Weak order 1; stochastic unless eta is 0.
 *
 * @example
 * const run = eulerAncestral({ denoise, x, sigmas, noise: (shape) => randn(shape) });
 */
export async function* eulerAncestral(input: SamplerInput & AncestralOptions): SamplerRun {
  const { eta = 1, sNoise = 1 } = input;
  checkAncestral("eulerAncestral", input);
  const loop = beginLoop("eulerAncestral", input, { stochastic: eta > 0 });
  let { x } = loop;
  for (let step = loop.first; step < loop.steps; step++) {
    const from = loop.levels[step];
    const to = loop.levels[step + 1];
    const { denoised } = await loop.evaluate(x, from, step);
    const [cx, c0, up] = ancestralCoefficients(from, ancestralStep(loop.space, from, to, eta));
    x =
      up > 0
        ? combine([cx, x], [c0, denoised], [sNoise * up, loop.noise(from, to)])
        : combine([cx, x], [c0, denoised]);
    yield loop.finished(step, x, denoised);
  }
}
