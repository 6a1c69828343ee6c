/**
 * DPM-Solver and DPM-Solver++ with the answers of earlier steps instead of extra evaluations,
 * orders 1 to 3, as ODE or as reverse SDE: Lu et al. 2022 (arXiv:2206.00927, arXiv:2211.01095
 * algorithm 2). The base of DPM++ 2M, 2M SDE and 3M SDE.
 */
import { combine, type Term } from "./arithmetic.ts";
import {
  type SolverOptions,
  type SolverPrediction,
  type SolverType,
  solverCoefficients,
} from "./dpm-solver-formulas.ts";
import { beginLoop, checkChoice, checkRange, type LoopOptions } from "./loop.ts";
import { type SolverAnswer, solverAnswer } from "./solver-answer.ts";
import type { Level } from "./space.ts";
import { NijimiError } from "../../errors.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/** Options of {@link dpmSolverMultistep}. */
export interface DpmSolverMultistepOptions {
  /** @default 2 */
  readonly order?: 1 | 2 | 3;
  /** "x0" is DPM-Solver++, "eps" the first DPM-Solver. @default "x0" */
  readonly prediction?: SolverPrediction;
  /** How second-order steps are taken. @default "midpoint" */
  readonly solverType?: SolverType;
  /** 0: ODE. 1: reverse SDE. Values between only with "x0". @default 0 */
  readonly eta?: number;
  /** Scale of the SDE's noise. @default 1 */
  readonly sNoise?: number;
  /** Lower the order towards the end of schedules of fewer than 15 steps. @default true */
  readonly lowerOrderFinal?: boolean;
  /**
   * First order in the last step, whatever the length. A last step to σ = 0 always is. @default
   * false
   */
  readonly eulerAtFinal?: boolean;
  /** @default "published" */
  readonly thirdOrderSde?: SolverOptions["thirdOrderSde"];
  /** @default "falling"; "rising" inverts */
  readonly direction?: LoopOptions["direction"];
}

/** Schedules shorter than this are lowered in order at their end. */
const SHORT_SCHEDULE = 15;

/**
 * Multistep DPM-Solver. Order `order`, one evaluation a step; deterministic at eta 0.
 *
 * @example
 * const run = dpmSolverMultistep({ denoise, x, sigmas, space: "vp", order: 3 });
 */
export async function* dpmSolverMultistep(
  input: SamplerInput & DpmSolverMultistepOptions,
): SamplerRun {
  const { order = 2, prediction = "x0", solverType = "midpoint", eta = 0, sNoise = 1 } = input;
  checkOptions(input);
  const loop = beginLoop("dpmSolverMultistep", input, {
    stochastic: eta > 0,
    direction: input.direction,
  });
  const history: SolverAnswer[] = []; // latest first
  let { x } = loop;
  for (let step = loop.first; step < loop.steps; step++) {
    const from = loop.levels[step];
    const to = loop.levels[step + 1];
    const answer = await loop.evaluate(x, from, step);
    history.unshift(solverAnswer(x, answer, from, prediction));
    history.length = Math.min(history.length, order);
    const now = Math.min(history.length, orderAtEnd(input, step, loop.steps, to));
    const c = solverCoefficients(from, to, {
      prediction,
      type: now === 3 ? "heun" : solverType,
      eta,
      thirdOrderSde: input.thirdOrderSde,
    });
    const terms: Term[] = [[c.x, x], ...differenceTerms(history, to, now, c)];
    if (eta > 0 && to.std > 0) terms.push([sNoise * c.noise, loop.noise(from, to)]);
    x = combine(...terms);
    yield loop.finished(step, x, answer.denoised);
  }
}

/** D0, D1 and D2 of the last answers, multiplied by their coefficients and collected by answer. */
function differenceTerms(
  [m0, m1, m2]: readonly SolverAnswer[],
  to: Level,
  order: number,
  { d0, d1, d2 }: { readonly d0: number; readonly d1: number; readonly d2: number },
): Term[] {
  if (order === 1) return [[d0, m0.value]];
  const h = to.lambda - m0.at.lambda;
  const r0 = (m0.at.lambda - m1.at.lambda) / h;
  if (order === 2)
    return [
      [d0 + d1 / r0, m0.value],
      [-d1 / r0, m1.value],
    ]; // D1 = (m0 − m1)/r0
  const r1 = (m1.at.lambda - m2.at.lambda) / h;
  // D1 = a + (a − b)·r0/(r0 + r1), D2 = (a − b)/(r0 + r1), a = (m0 − m1)/r0, b = (m1 − m2)/r1
  const a = d1 + (d1 * r0 + d2) / (r0 + r1);
  const b = -(d1 * r0 + d2) / (r0 + r1);
  return [
    [d0 + a / r0, m0.value],
    [b / r1 - a / r0, m1.value],
    [-b / r1, m2.value],
  ];
}

function orderAtEnd(
  { lowerOrderFinal = true, eulerAtFinal = false }: DpmSolverMultistepOptions,
  step: number,
  steps: number,
  to: Level,
): number {
  const lower = lowerOrderFinal && steps < SHORT_SCHEDULE;
  if (step === steps - 1 && (eulerAtFinal || lower || to.std === 0)) return 1;
  return step === steps - 2 && lower ? 2 : 3;
}

function checkOptions({
  order = 2,
  prediction = "x0",
  solverType = "midpoint",
  eta = 0,
  sNoise = 1,
}: DpmSolverMultistepOptions): void {
  const name = "dpmSolverMultistep";
  checkChoice(name, "order", order, [1, 2, 3]);
  checkChoice(name, "prediction", prediction, ["x0", "eps"]);
  checkChoice(name, "solverType", solverType, ["midpoint", "heun"]);
  checkRange(name, "eta", eta, 0);
  checkRange(name, "sNoise", sNoise, 0);
  if (prediction === "eps" && eta !== 0 && (eta !== 1 || order === 3))
    throw new NijimiError(
      "option",
      `${name}: with prediction "eps" eta must be 0, or 1 at order 1 or 2; got eta ${eta} at order ${order}.`,
    );
}
