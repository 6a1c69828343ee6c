/**
 * DPM2 down to an ancestral step's lower level, then noise: k-diffusion's `sample_dpm_2_ancestral`.
 */
import { ancestralStep } from "./ancestral-step.ts";
import { combine, transfer } from "./arithmetic.ts";
import { type AncestralOptions, checkAncestral } from "./euler-ancestral.ts";
import { beginLoop } from "./loop.ts";
import { advance, firstOrderOnly, geometricMean, slope } from "./ode.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/** DPM2 a. Order 2 at eta 0, weak order 1 otherwise; two evaluations a step. */
export async function* dpm2Ancestral(input: SamplerInput & AncestralOptions): SamplerRun {
  const { eta = 1, sNoise = 1 } = input;
  checkAncestral("dpm2Ancestral", input);
  const loop = beginLoop("dpm2Ancestral", input, { stochastic: eta > 0 });
  let { x } = loop;
  for (let step = loop.first; step < loop.steps; step++) {
    const from = loop.levels[step];
    const to = loop.levels[step + 1];
    const { down, keep, up } = ancestralStep(loop.space, from, to, eta);
    const { denoised } = await loop.evaluate(x, from, step);
    if (firstOrderOnly(from, down)) x = transfer(x, denoised, from, down);
    else {
      const middle = loop.level(geometricMean(from, down));
      const x2 = transfer(x, denoised, from, middle);
      const second = await loop.evaluate(x2, middle, step);
      x = advance(
        loop.space,
        x,
        from,
        down,
        ...slope(down.sigma - from.sigma, loop.space, x2, second.denoised, middle),
      );
    }
    if (up > 0) x = combine([keep, x], [sNoise * up, loop.noise(from, to)]);
    yield loop.finished(step, x, denoised);
  }
}
