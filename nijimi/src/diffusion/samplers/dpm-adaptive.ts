/**
 * DPM-Solver-12 and -23 with adaptive steps (Lu et al. 2022, arXiv:2206.00927, appendix C): two
 * orders are compared and a PID controller chooses the next step in λ. k-diffusion's
 * `sample_dpm_adaptive`. The error norm runs over the whole batch, so images of one batch share
 * their steps: split batches give (slightly) other images.
 */
import { combine } from "./arithmetic.ts";
import { limitedAncestralStep, solverEnds } from "./dpm-fast.ts";
import { dpmSolverAt } from "./dpm-solver-steps.ts";
import { type AncestralOptions, checkAncestral } from "./euler-ancestral.ts";
import { beginLoop, checkChoice, checkRange } from "./loop.ts";
import { type Level, sigmaAtLambda } from "./space.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/** Options of {@link dpmAdaptive}. */
export interface DpmAdaptiveOptions extends AncestralOptions {
  /** Order of the better of the two answers. @default 3 */
  readonly order?: 2 | 3;
  /** Relative tolerance. @default 0.05 */
  readonly rtol?: number;
  /** Absolute tolerance. @default 0.0078 */
  readonly atol?: number;
  /** First step in λ. @default 0.05 */
  readonly hInit?: number;
  /** Proportional, integral and differential gains. @default [0, 1, 0] */
  readonly pid?: readonly [number, number, number];
  /** A step is kept when the controller would shrink it by no more than this. @default 0.81 */
  readonly acceptSafety?: number;
  /** @default 0 */
  readonly eta?: number;
}

/** Give up when steps become as short as this. */
const SHORTEST = 1e-5;

/** DPM adaptive. As many evaluations as the tolerance needs; ends at the lowest level above 0. */
export async function* dpmAdaptive(input: SamplerInput & DpmAdaptiveOptions): SamplerRun {
  const { order = 3, rtol = 0.05, atol = 0.0078, hInit = 0.05, eta = 0, sNoise = 1 } = input;
  checkAncestral("dpmAdaptive", { eta, sNoise });
  checkChoice("dpmAdaptive", "order", order, [2, 3]);
  for (const [name, value] of Object.entries({ rtol, atol, hInit }))
    checkRange("dpmAdaptive", name, value, Number.MIN_VALUE);
  const loop = beginLoop("dpmAdaptive", input, { stochastic: eta > 0 });
  const { start, end } = solverEnds("dpmAdaptive", loop);
  const controller = pidController({ ...input, order: eta > 0 ? 1.5 : order, h: hInit });
  let { x } = loop;
  let previous: Float32Array = x.data;
  let from: Level = start;
  for (let step = 0; from.lambda < end.lambda - SHORTEST;) {
    const wanted = from.lambda + controller.h;
    const to = wanted >= end.lambda ? end : loop.level(sigmaAtLambda(loop.space, wanted));
    const { down, keep, up } = limitedAncestralStep(loop, from, to, end, eta);
    const solver = dpmSolverAt(loop, x, from, step);
    const low = await solver.step(order === 3 ? 2 : 1, down, { r1: order === 3 ? 1 / 3 : 1 / 2 });
    const high = await solver.step(order, down);
    if (!controller.accept(scaledError(low.data, high.data, previous, atol, rtol))) continue;
    previous = low.data;
    x = up > 0 ? combine([keep, high], [sNoise * up, loop.noise(from, to)]) : high;
    from = to;
    yield { step, steps: undefined, sigma: to.sigma, x, denoised: await solver.denoised() };
    step++;
  }
}

/** Root mean square of (low − high) / max(atol, rtol·max(|low|, |previous|)). */
function scaledError(
  low: Float32Array,
  high: Float32Array,
  previous: Float32Array,
  atol: number,
  rtol: number,
): number {
  let sum = 0;
  for (let i = 0; i < low.length; i++) {
    const delta = Math.max(atol, rtol * Math.max(Math.abs(low[i]), Math.abs(previous[i])));
    sum += ((low[i] - high[i]) / delta) ** 2;
  }
  return Math.sqrt(sum / low.length);
}

/**
 * A PID step-size controller with a smooth limiter, 1 + atan(factor − 1) (as torchode and
 * k-diffusion have it).
 */
function pidController({
  h,
  order,
  pid: [p, i, d] = [0, 1, 0],
  acceptSafety = 0.81,
}: {
  h: number;
  readonly order: number;
  readonly pid?: readonly [number, number, number];
  readonly acceptSafety?: number;
}): { readonly h: number; accept(error: number): boolean } {
  const exponents = [(p + i + d) / order, -(p + 2 * d) / order, d / order];
  let inverses: number[] | undefined; // 1/error now, before, before that
  return {
    get h() {
      return h;
    },
    accept(error) {
      const inverse = 1 / (error + 1e-8);
      inverses = inverses ? [inverse, inverses[1], inverses[2]] : [inverse, inverse, inverse];
      const raw = inverses.reduce((product, value, k) => product * value ** exponents[k], 1);
      const factor = 1 + Math.atan(raw - 1);
      const accepted = factor >= acceptSafety;
      if (accepted) inverses = [inverse, inverse, inverses[1]];
      h *= factor;
      return accepted;
    },
  };
}
