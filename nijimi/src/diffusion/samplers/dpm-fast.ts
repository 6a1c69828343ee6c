/**
 * DPM-Solver-fast (Lu et al. 2022, arXiv:2206.00927, §3.4): a fixed number of evaluations spent on
 * steps of order 3, and of order 2 or 1 at the end, uniform in λ. k-diffusion's `sample_dpm_fast`,
 * with its ancestral noise as an option. Levels between the first and the lowest above 0 are
 * ignored.
 */
import { NijimiError } from "../../errors.ts";
import { ancestralStep } from "./ancestral-step.ts";
import { combine } from "./arithmetic.ts";
import { dpmSolverAt } from "./dpm-solver-steps.ts";
import { type AncestralOptions, checkAncestral } from "./euler-ancestral.ts";
import { beginLoop, type Loop } from "./loop.ts";
import { type Level, ratioOf, sigmaAtLambda } from "./space.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/** Options of {@link dpmFast}. */
export interface DpmFastOptions extends AncestralOptions {
  /** Evaluations to spend. @default the number of steps of `sigmas` */
  readonly evaluations?: number;
  /** @default 0 */
  readonly eta?: number;
}

/** DPM fast. Order 3; ends at the lowest level above 0; deterministic at eta 0. */
export async function* dpmFast(input: SamplerInput & DpmFastOptions): SamplerRun {
  const { eta = 0, sNoise = 1 } = input;
  checkAncestral("dpmFast", { eta, sNoise });
  const loop = beginLoop("dpmFast", input, { stochastic: eta > 0 });
  const { start, end } = solverEnds("dpmFast", loop);
  const evaluations = input.evaluations ?? loop.steps - loop.first;
  const orders = dpmFastOrders(evaluations);
  const levels = orders.map((_, i) =>
    i === 0 ? start : loop.level(lambdaGrid(loop, start, end, i / orders.length)),
  );
  levels.push(end);
  let { x } = loop;
  for (const [step, order] of orders.entries()) {
    const from = levels[step];
    const to = levels[step + 1];
    const { down, keep, up } = limitedAncestralStep(loop, from, to, end, eta);
    const solver = dpmSolverAt(loop, x, from, step);
    x = await solver.step(order, down);
    if (up > 0) x = combine([keep, x], [sNoise * up, loop.noise(from, to)]);
    yield { step, steps: orders.length, sigma: to.sigma, x, denoised: await solver.denoised() };
  }
}

/** Orders that spend exactly `evaluations` evaluations. */
export function dpmFastOrders(evaluations: number): (1 | 2 | 3)[] {
  if (!(Number.isInteger(evaluations) && evaluations >= 1))
    throw new NijimiError(
      "option",
      `dpmFast: evaluations must be a whole number ≥ 1; got ${evaluations}.`,
    );
  const threes = (count: number) => Array.from({ length: count }, () => 3 as const);
  const rest = evaluations % 3;
  if (rest === 0) return [...threes(evaluations / 3 - 1), 2, 1];
  return [...threes((evaluations - rest) / 3), rest as 1 | 2];
}

/** First level and lowest level above 0, between which λ is finite. */
export function solverEnds(
  sampler: string,
  loop: Loop,
): { readonly start: Level; readonly end: Level } {
  const start = loop.levels[loop.first];
  const end = loop.levels.findLast(({ std }) => std > 0);
  if (!end || end.sigma >= start.sigma || !Number.isFinite(start.lambda))
    throw new NijimiError(
      "option",
      `${sampler}: needs two different levels with finite λ, the lower above 0; got sigma ${start.sigma} to ${end?.sigma}.`,
    );
  return { start, end };
}

/** The ancestral step, its lower level no lower than `end`. */
export function limitedAncestralStep(
  loop: Loop,
  from: Level,
  to: Level,
  end: Level,
  eta: number,
): ReturnType<typeof ancestralStep> {
  if (eta === 0) return { down: to, keep: 1, up: 0 };
  const split = ancestralStep(loop.space, from, to, eta);
  const down = split.down.lambda > end.lambda ? end : split.down;
  return {
    down,
    keep: to.alpha / down.alpha,
    up: to.alpha * Math.sqrt(Math.max(0, ratioOf(to) ** 2 - ratioOf(down) ** 2)),
  };
}

function lambdaGrid(loop: Loop, start: Level, end: Level, fraction: number): number {
  return sigmaAtLambda(loop.space, start.lambda + fraction * (end.lambda - start.lambda));
}
