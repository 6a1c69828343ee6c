/**
 * DPM-Solver++(2S) (Lu et al. 2022, arXiv:2211.01095, algorithm 1 with r = ½) down to an ancestral
 * step's lower level, then noise: k-diffusion's `sample_dpmpp_2s_ancestral`.
 */
import { ancestralStep } from "./ancestral-step.ts";
import { combine, transfer } from "./arithmetic.ts";
import { type AncestralOptions, checkAncestral } from "./euler-ancestral.ts";
import { beginLoop } from "./loop.ts";
import { firstOrderOnly } from "./ode.ts";
import { sigmaAtLambda } from "./space.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/** DPM++ 2S a. Order 2 at eta 0, weak order 1 otherwise; two evaluations a step. */
export async function* dpmpp2sAncestral(input: SamplerInput & AncestralOptions): SamplerRun {
  const { eta = 1, sNoise = 1 } = input;
  checkAncestral("dpmpp2sAncestral", input);
  const loop = beginLoop("dpmpp2sAncestral", input, { stochastic: eta > 0 });
  let { x } = loop;
  for (let step = loop.first; step < loop.steps; step++) {
    const from = loop.levels[step];
    const to = loop.levels[step + 1];
    const { down, keep, up } = ancestralStep(loop.space, from, to, eta);
    const { denoised } = await loop.evaluate(x, from, step);
    if (firstOrderOnly(from, down) || from.alpha === 0) x = transfer(x, denoised, from, down);
    else {
      const middle = loop.level(sigmaAtLambda(loop.space, (from.lambda + down.lambda) / 2));
      const second = await loop.evaluate(transfer(x, denoised, from, middle), middle, step);
      x = transfer(x, second.denoised, from, down);
    }
    if (up > 0) x = combine([keep, x], [sNoise * up, loop.noise(from, to)]);
    yield loop.finished(step, x, denoised);
  }
}
