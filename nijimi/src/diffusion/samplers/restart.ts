/**
 * Restart: Xu et al. 2023, "Restart Sampling for Improving Generative Processes"
 * (arXiv:2306.14878), algorithm 1: Heun's steps, and at given levels the noise of an interval added
 * back and removed again, several times over.
 */
import { NijimiError } from "../../errors.ts";
import { addNoise } from "./churn.ts";
import { heun } from "./heun.ts";
import { beginLoop, checkRange } from "./loop.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/**
 * One restart: whenever `sigmaMin` is passed, go back up to `sigmaMax` and down again in `steps`
 * steps, `times` times.
 */
export interface RestartInterval {
  readonly sigmaMin: number;
  readonly sigmaMax: number;
  readonly times: number;
  readonly steps: number;
}

/** Options of {@link restart}. */
export interface RestartOptions {
  /** @default one: [0.1, 2], 1 time, as many steps as the schedule has between */
  readonly restarts?: readonly RestartInterval[];
  /** Scale of the added noise. @default 1 */
  readonly sNoise?: number;
}

/** ρ of the steps within a restart (EDM's). */
const RHO = 7;

/** Restart sampling. Order 2 between restarts; two evaluations a step; stochastic. */
export async function* restart(input: SamplerInput & RestartOptions): SamplerRun {
  const { sNoise = 1, restarts = [{ sigmaMin: 0.1, sigmaMax: 2, times: 1, steps: 4 }] } = input;
  checkRange("restart", "sNoise", sNoise, 0);
  for (const interval of restarts) checkInterval(interval);
  const loop = beginLoop("restart", input, { stochastic: restarts.length > 0 });
  const { sigmas: _sigmas, x: start, firstStep: _first, ...rest } = input;
  const pending = [...restarts];
  let x = start;
  for (let step = loop.first; step < loop.steps; step++) {
    const to = loop.levels[step + 1];
    for await (const done of heun({ ...rest, x, sigmas: [loop.levels[step].sigma, to.sigma] })) {
      x = done.x;
      yield { ...loop.finished(step, x, done.denoised) };
    }
    for (const interval of pending.filter(({ sigmaMin }) => sigmaMin >= to.sigma && to.sigma > 0)) {
      pending.splice(pending.indexOf(interval), 1);
      const top = loop.level(interval.sigmaMax);
      const path = restartPath(interval.sigmaMax, to.sigma, interval.steps);
      for (let k = 0; k < interval.times; k++) {
        x = addNoise(x, to, top, loop.noise(to, top), sNoise);
        for await (const done of heun({ ...rest, x, sigmas: path })) {
          x = done.x;
          yield { step, steps: loop.steps, sigma: done.sigma, x, denoised: done.denoised };
        }
      }
    }
  }
}

/** Levels from sigmaMax down to sigmaMin, spaced as EDM spaces them. */
function restartPath(sigmaMax: number, sigmaMin: number, steps: number): number[] {
  const high = sigmaMax ** (1 / RHO);
  const low = sigmaMin ** (1 / RHO);
  const path = Array.from(
    { length: steps + 1 },
    (_, i) => (high + (i / steps) * (low - high)) ** RHO,
  );
  return [sigmaMax, ...path.slice(1, -1), sigmaMin];
}

function checkInterval({ sigmaMin, sigmaMax, times, steps }: RestartInterval): void {
  if (
    sigmaMin > 0 &&
    sigmaMax > sigmaMin &&
    Number.isInteger(times) &&
    times >= 0 &&
    Number.isInteger(steps) &&
    steps >= 1
  )
    return;
  throw new NijimiError(
    "option",
    `restart: an interval needs 0 < sigmaMin < sigmaMax, whole times ≥ 0 and steps ≥ 1; got ${JSON.stringify({ sigmaMin, sigmaMax, times, steps })}.`,
  );
}
