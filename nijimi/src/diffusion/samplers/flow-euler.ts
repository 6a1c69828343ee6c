/**
 * Euler's steps of a rectified flow: Liu et al. 2022 (arXiv:2209.03003), Esser et al. 2024
 * (arXiv:2403.03206). The path is x = (1 − σ)·x0 + σ·ε and dx/dσ = (x − x0)/σ, so this is
 * `euler` in space "flow"; `stochastic` replaces the noise in every step instead (diffusers'
 * `stochastic_sampling`).
 */
import { combine } from "./arithmetic.ts";
import { euler } from "./euler.ts";
import { beginLoop } from "./loop.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/** Options of {@link flowEuler}. */
export interface FlowEulerOptions {
  /** Keep only x0 and draw the noise anew in every step. @default false */
  readonly stochastic?: boolean;
}

/** Euler for flow matching. Order 1, one evaluation a step; deterministic unless `stochastic`. */
export function flowEuler({
  stochastic = false,
  ...input
}: Omit<SamplerInput, "space"> & FlowEulerOptions): SamplerRun {
  return stochastic ? renoising({ ...input, space: "flow" }) : euler({ ...input, space: "flow" });
}

async function* renoising(input: SamplerInput): SamplerRun {
  const loop = beginLoop("flowEuler", input, { stochastic: true });
  let { x } = loop;
  for (let step = loop.first; step < loop.steps; step++) {
    const from = loop.levels[step];
    const to = loop.levels[step + 1];
    const { denoised } = await loop.evaluate(x, from, step);
    x = combine([to.alpha, denoised], [to.std, loop.noise(from, to)]);
    yield loop.finished(step, x, denoised);
  }
}
