/**
 * Heun's second-order method: EDM (Karras et al. 2022, arXiv:2206.00364), algorithm 1, and with
 * churn algorithm 2. Two evaluations a step, one in a last step to σ = 0.
 */
import { transfer } from "./arithmetic.ts";
import { checkChurn, churn, type ChurnOptions, isChurning } from "./churn.ts";
import { beginLoop } from "./loop.ts";
import { advance, firstOrderOnly, slope } from "./ode.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/**
 * Heun. Order 2; deterministic unless `sChurn` > 0. EDM's stochastic sampler is this with its
 * S_churn, S_tmin, S_tmax and S_noise (ImageNet-64: 40, 0.05, 50, 1.003).
 *
 * @example
 * for await (const { x } of heun({ denoise, x, sigmas: karrasSigmas })) sample = x;
 */
export async function* heun(input: SamplerInput & ChurnOptions): SamplerRun {
  checkChurn("heun", input);
  const loop = beginLoop("heun", input, { stochastic: isChurning(input) });
  const { space } = loop;
  let { x } = loop;
  for (let step = loop.first; step < loop.steps; step++) {
    const start = churn(loop, input, x, step);
    const to = loop.levels[step + 1];
    const { denoised } = await loop.evaluate(start.x, start.level, step);
    x = transfer(start.x, denoised, start.level, to);
    if (!firstOrderOnly(start.level, to)) {
      const second = await loop.evaluate(x, to, step);
      const half = (to.sigma - start.level.sigma) / 2;
      x = advance(
        space,
        start.x,
        start.level,
        to,
        ...slope(half, space, start.x, denoised, start.level),
        ...slope(half, space, x, second.denoised, to),
      );
    }
    yield loop.finished(step, x, denoised);
  }
}
