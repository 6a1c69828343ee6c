/**
 * Trajectory consistency sampling with strategic stochasticity: Zheng et al. 2024, "Trajectory
 * Consistency Distillation" (arXiv:2402.19159), algorithm 4: jump below the next level, then noise
 * up to it. eta (the paper's γ) says how far below: 0 is DDIM, 1 is LCM's jump to x0.
 */
import { NijimiError } from "../../errors.ts";
import { addNoise } from "./churn.ts";
import { ddimStep } from "./ddim.ts";
import { beginLoop, checkRange } from "./loop.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/** Options of {@link tcd}. */
export interface TcdOptions {
  /** γ, 0 to 1. @default 0.3 */
  readonly eta?: number;
  /**
   * The level jumped to, per step. The paper scales the timestep of the next level by 1 − eta,
   * which only a schedule of timesteps knows.
   * @default sigmas[i + 1] scaled by 1 − eta
   */
  readonly jumpsTo?: ArrayLike<number>;
}

/**
 * TCD. For networks distilled so, 1 to 8 steps; one evaluation a step; stochastic unless eta is 0.
 */
export async function* tcd(input: SamplerInput & TcdOptions): SamplerRun {
  const { eta = 0.3, jumpsTo } = input;
  checkRange("tcd", "eta", eta, 0, 1);
  const loop = beginLoop("tcd", input, { stochastic: eta > 0 });
  if (jumpsTo && jumpsTo.length !== loop.steps)
    throw new NijimiError(
      "option",
      `tcd: jumpsTo needs one level per step, ${loop.steps}; got ${jumpsTo.length}.`,
    );
  let { x } = loop;
  for (let step = loop.first; step < loop.steps; step++) {
    const from = loop.levels[step];
    const to = loop.levels[step + 1];
    const jump = loop.level(jumpsTo ? jumpsTo[step] : (1 - eta) * to.sigma);
    const prediction = await loop.evaluate(x, from, step);
    x = ddimStep(x, prediction, from, jump);
    const last = step === loop.steps - 1;
    if (eta > 0 && !last) x = addNoise(x, jump, to, loop.noise(from, to));
    yield { ...loop.finished(step, x, prediction.denoised), sigma: last ? jump.sigma : to.sigma };
  }
}
