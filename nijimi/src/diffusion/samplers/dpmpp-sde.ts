/**
 * DPM++ SDE: two ancestral first-order steps from the same state, the second with the answers of
 * both combined; k-diffusion's `sample_dpmpp_sde`, diffusers' `DPMSolverSDEScheduler` (r = ½).
 */
import { ancestralCoefficients, ancestralStep } from "./ancestral-step.ts";
import { combine, transfer } from "./arithmetic.ts";
import { type AncestralOptions, checkAncestral } from "./euler-ancestral.ts";
import { beginLoop, checkRange } from "./loop.ts";
import { firstOrderOnly } from "./ode.ts";
import { sigmaAtLambda } from "./space.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/** Options of {@link dpmppSde}. */
export interface DpmppSdeOptions extends AncestralOptions {
  /** Where between the levels (in λ) the second evaluation lies, in (0, 1]. @default 0.5 */
  readonly r?: number;
}

/**
 * DPM++ SDE. Order 2 at eta 0, weak order 1 otherwise; two evaluations and two draws a step, over
 * overlapping intervals: give it Brownian noise.
 */
export async function* dpmppSde(input: SamplerInput & DpmppSdeOptions): SamplerRun {
  const { eta = 1, sNoise = 1, r = 0.5 } = input;
  checkAncestral("dpmppSde", input);
  checkRange("dpmppSde", "r", r, Number.MIN_VALUE, 1);
  const loop = beginLoop("dpmppSde", input, { stochastic: eta > 0 });
  const { space } = loop;
  const weight = 1 / (2 * r);
  let { x } = loop;
  for (let step = loop.first; step < loop.steps; step++) {
    const from = loop.levels[step];
    const to = loop.levels[step + 1];
    const { denoised } = await loop.evaluate(x, from, step);
    if (firstOrderOnly(from, to) || from.alpha === 0) x = transfer(x, denoised, from, to);
    else {
      const middle = loop.level(sigmaAtLambda(space, from.lambda + r * (to.lambda - from.lambda)));
      const [mx, m0, mUp] = ancestralCoefficients(from, ancestralStep(space, from, middle, eta));
      const noisy = mUp > 0 ? ([[sNoise * mUp, loop.noise(from, middle)]] as const) : [];
      const x2 = combine([mx, x], [m0, denoised], ...noisy);
      const second = await loop.evaluate(x2, middle, step);
      const [cx, c0, up] = ancestralCoefficients(from, ancestralStep(space, from, to, eta));
      const noise = up > 0 ? ([[sNoise * up, loop.noise(from, to)]] as const) : [];
      x = combine([cx, x], [c0 * (1 - weight), denoised], [c0 * weight, second.denoised], ...noise);
    }
    yield loop.finished(step, x, denoised);
  }
}
