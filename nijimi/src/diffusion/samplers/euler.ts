/**
 * Euler's method on the probability-flow ODE dx/dσ = (x − x0)/σ, with the optional churn of
 * algorithm 2 of Karras et al. 2022 (EDM, arXiv:2206.00364): before a step the state is noised a
 * little beyond its level. One step equals DDIM (eta 0) and DPM-Solver-1; in `flow` it is Euler's
 * step of a rectified flow.
 */
import { transfer } from "./arithmetic.ts";
import { checkChurn, churn, type ChurnOptions, isChurning } from "./churn.ts";
import { beginLoop } from "./loop.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/**
 * Euler. Order 1; deterministic unless `sChurn` > 0.
 *
 * @example
 * for await (const { step, denoised } of euler({ denoise, x, sigmas })) preview(step, denoised);
 */
export async function* euler(input: SamplerInput & ChurnOptions): SamplerRun {
  checkChurn("euler", input);
  const loop = beginLoop("euler", input, { stochastic: isChurning(input) });
  let { x } = loop;
  for (let step = loop.first; step < loop.steps; step++) {
    const churned = churn(loop, input, x, step);
    const { denoised } = await loop.evaluate(churned.x, churned.level, step);
    x = transfer(churned.x, denoised, churned.level, loop.levels[step + 1]);
    yield loop.finished(step, x, denoised);
  }
}
