/**
 * Euler with churn as diffusers' Euler schedulers do it: the noise is added after the network has
 * been asked, whose output for the unchurned state is then read at the churned one. EDM's algorithm
 * 2 (and {@link euler}) asks at the churned state.
 */
import type { X0Transform } from "../../parameterisations/clipping.ts";
import { combine, transfer } from "../arithmetic.ts";
import { addNoise, checkChurn, churnGamma } from "../churn.ts";
import { beginLoop } from "../loop.ts";
import type { SamplerRun } from "../types.ts";
import type { DiffusersRunInput } from "./plan.ts";
import type { ReadingAt } from "./reading.ts";

/** Input of {@link eulerWithLateChurn}. */
export interface LateChurnInput extends DiffusersRunInput {
  readonly sigmas: Float64Array;
  readonly reading: ReadingAt;
  /**
   * Level whose coefficients read the output: the churned one, or (for v in
   * `EulerDiscreteScheduler`) the original.
   */
  readonly readAt: "churned" | "original";
  readonly transform?: X0Transform;
}

/** Euler in `ve` with churn between network and step. */
export async function* eulerWithLateChurn(input: LateChurnInput): SamplerRun {
  const { network, reading, readAt, sigmas, signal, sNoise } = input;
  const loopInput = { ...input, denoise: () => ({ denoised: input.x }) };
  checkChurn("euler", loopInput);
  const loop = beginLoop("euler", { ...loopInput, sigmas }, { stochastic: true });
  let { x } = loop;
  for (let step = loop.first; step < loop.steps; step++) {
    const level = loop.levels[step];
    const { cIn, timestep } = reading(level.sigma, step);
    const output = await network(combine([cIn, x]), timestep, { step, signal });
    const gamma = churnGamma(input, level.sigma, loop.steps);
    const churned = gamma > 0 ? loop.level(level.sigma * (1 + gamma)) : level;
    if (gamma > 0) x = addNoise(x, level, churned, loop.noise(level, churned), sNoise);
    const { x0 } = reading(readAt === "churned" ? churned.sigma : level.sigma, step);
    const denoised = combine([x0.x, x], [x0.output, output]);
    x = transfer(x, denoised, churned, loop.levels[step + 1]);
    yield loop.finished(step, x, denoised);
  }
}
