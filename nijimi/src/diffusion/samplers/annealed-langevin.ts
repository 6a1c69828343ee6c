/**
 * Annealed Langevin dynamics: Song & Ermon 2019, "Generative Modeling by Estimating Gradients of
 * the Data Distribution" (arXiv:1907.05600), algorithm 1: at every level some steps x + α/2·s +
 * √α·z with α = ε·σ²/σ_L². The authors' `step_lr` is ε/2. With a last denoising step as in
 * "Improved Techniques" (arXiv:2006.09011).
 */
import { combine } from "./arithmetic.ts";
import { beginLoop, checkRange } from "./loop.ts";
import { NijimiError } from "../../errors.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/** Options of {@link annealedLangevin}. */
export interface AnnealedLangevinOptions {
  /** ε: step size at the lowest level. @default 4e-5 (the authors' step_lr 2e-5) */
  readonly stepSize?: number;
  /** Steps per level. @default 100 */
  readonly stepsPerLevel?: number;
  /** End at the estimate of x0 instead of a state with noise. @default false */
  readonly denoiseFinal?: boolean;
}

/**
 * Annealed Langevin dynamics, in `ve`. `sigmas` are levels above 0, all of which are sampled at; x
 * is anything, NCSN starts from uniform noise. One evaluation a step; stochastic. A step of the
 * event is one of Langevin's.
 */
export async function* annealedLangevin(input: SamplerInput & AnnealedLangevinOptions): SamplerRun {
  const { stepSize = 4e-5, stepsPerLevel = 100, denoiseFinal = false } = input;
  checkRange("annealedLangevin", "stepSize", stepSize, 0);
  if (!(Number.isInteger(stepsPerLevel) && stepsPerLevel >= 1))
    throw new NijimiError(
      "option",
      `annealedLangevin: stepsPerLevel must be a whole number ≥ 1; got ${stepsPerLevel}.`,
    );
  const loop = beginLoop("annealedLangevin", input, { stochastic: true, minimumLevels: 1 });
  const last = loop.levels[loop.levels.length - 1];
  if (loop.space !== "ve" || last.sigma === 0)
    throw new NijimiError(
      "option",
      `annealedLangevin: runs in space "ve" over levels above 0; got "${loop.space}" down to ${last.sigma}.`,
    );
  const steps = loop.levels.length * stepsPerLevel + (denoiseFinal ? 1 : 0);
  let { x } = loop;
  let step = 0;
  for (const level of loop.levels) {
    const alpha = stepSize * (level.sigma / last.sigma) ** 2;
    const pull = alpha / (2 * level.sigma ** 2); // score = (x0 − x)/σ²
    for (let k = 0; k < stepsPerLevel; k++) {
      const { denoised } = await loop.evaluate(x, level, step);
      x = combine([1 - pull, x], [pull, denoised], [Math.sqrt(alpha), loop.noise(level, level)]);
      yield { step: step++, steps, sigma: level.sigma, x, denoised };
    }
  }
  if (!denoiseFinal) return;
  const { denoised } = await loop.evaluate(x, last, step);
  yield { step, steps, sigma: 0, x: denoised, denoised };
}
