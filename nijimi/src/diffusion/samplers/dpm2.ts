/**
 * The midpoint method with the midpoint on a logarithmic scale of sigma: DPM-Solver-2 (Lu et al.
 * 2022, arXiv:2206.00927) as k-diffusion integrates it (`sample_dpm_2`), with the churn of EDM's
 * algorithm 2.
 */
import { transfer } from "./arithmetic.ts";
import { checkChurn, churn, type ChurnOptions, isChurning } from "./churn.ts";
import { beginLoop } from "./loop.ts";
import { advance, firstOrderOnly, geometricMean, slope } from "./ode.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/** DPM2. Order 2, two evaluations a step; deterministic unless `sChurn` > 0. */
export async function* dpm2(input: SamplerInput & ChurnOptions): SamplerRun {
  checkChurn("dpm2", input);
  const loop = beginLoop("dpm2", input, { stochastic: isChurning(input) });
  let { x } = loop;
  for (let step = loop.first; step < loop.steps; step++) {
    const start = churn(loop, input, x, step);
    const to = loop.levels[step + 1];
    const { denoised } = await loop.evaluate(start.x, start.level, step);
    if (firstOrderOnly(start.level, to)) x = transfer(start.x, denoised, start.level, to);
    else {
      const middle = loop.level(geometricMean(start.level, to));
      const x2 = transfer(start.x, denoised, start.level, middle);
      const second = await loop.evaluate(x2, middle, step);
      x = advance(
        loop.space,
        start.x,
        start.level,
        to,
        ...slope(to.sigma - start.level.sigma, loop.space, x2, second.denoised, middle),
      );
    }
    yield loop.finished(step, x, denoised);
  }
}
