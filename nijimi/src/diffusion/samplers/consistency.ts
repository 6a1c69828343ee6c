/**
 * Multistep consistency sampling: Song et al. 2023, "Consistency Models" (arXiv:2303.01469),
 * algorithm 1: x0 from noise, then noise of variance σ² − σ_min² added and removed again.
 */
import { NijimiError } from "../../errors.ts";
import { combine } from "./arithmetic.ts";
import { beginLoop, checkRange } from "./loop.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/** Options of {@link consistency}. */
export interface ConsistencyOptions {
  /** σ_min, the level at which the network is the identity. @default the last of `sigmas` */
  readonly sigmaMin?: number;
  /** Scale of the added noise. @default 1 */
  readonly sNoise?: number;
}

/** Consistency sampling. Space "ve"; one evaluation a step; stochastic with more than one step. */
export async function* consistency(input: SamplerInput & ConsistencyOptions): SamplerRun {
  const { sNoise = 1 } = input;
  checkRange("consistency", "sNoise", sNoise, 0);
  if ((input.space ?? "ve") !== "ve")
    throw new NijimiError(
      "option",
      `consistency: runs in space "ve"; got ${JSON.stringify(input.space)}.`,
    );
  const loop = beginLoop("consistency", input);
  const sigmaMin = input.sigmaMin ?? loop.levels[loop.steps].sigma;
  let { x } = loop;
  for (let step = loop.first; step < loop.steps; step++) {
    const from = loop.levels[step];
    const to = loop.levels[step + 1];
    const { denoised } = await loop.evaluate(x, from, step);
    const added = Math.sqrt(Math.max(0, to.sigma ** 2 - sigmaMin ** 2));
    x = added > 0 ? combine([1, denoised], [sNoise * added, loop.noise(from, to)]) : denoised;
    yield loop.finished(step, x, denoised);
  }
}
