/**
 * Singlestep DPM-Solver and DPM-Solver++, orders 1 to 3, on the levels of the schedule: Lu et al.
 * 2022 (arXiv:2206.00927 algorithms 1–2, arXiv:2211.01095 algorithm 1) as diffusers'
 * `DPMSolverSinglestepScheduler` arranges it. A group of k steps starts at one state; its first k −
 * 1 steps are lower-order steps that only serve to place evaluations. Differs from the papers in
 * that the evaluations lie on the given levels instead of fixed fractions of λ.
 */
import { combine, type Term } from "./arithmetic.ts";
import {
  type SolverOptions,
  type SolverPrediction,
  type SolverType,
  solverCoefficients,
} from "./dpm-solver-formulas.ts";
import { beginLoop, checkChoice, checkRange } from "./loop.ts";
import { type SolverAnswer, solverAnswer } from "./solver-answer.ts";
import type { Level } from "./space.ts";
import { NijimiError } from "../../errors.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/** Options of {@link dpmSolverSinglestep}. */
export interface DpmSolverSinglestepOptions {
  /** @default 2 */
  readonly order?: 1 | 2 | 3;
  /** "x0" is DPM-Solver++, "eps" the first DPM-Solver. @default "x0" */
  readonly prediction?: SolverPrediction;
  /** @default "midpoint" */
  readonly solverType?: SolverType;
  /** 0: ODE. 1: reverse SDE, with prediction "x0" only. @default 0 */
  readonly eta?: number;
  /**
   * End with steps of lower order; always done when the last level is 0 or the steps are no
   * multiple of the order. @default true
   */
  readonly lowerOrderFinal?: boolean;
  /** @default "published" */
  readonly thirdOrderSde?: SolverOptions["thirdOrderSde"];
}

/**
 * Singlestep DPM-Solver: order `order` per group of as many evaluations; one evaluation a step;
 * deterministic at eta 0. DPM++ 1S, 2S and 3S by order.
 */
export async function* dpmSolverSinglestep(
  input: SamplerInput & DpmSolverSinglestepOptions,
): SamplerRun {
  const { order = 2, prediction = "x0", solverType = "midpoint", eta = 0 } = input;
  checkOptions(input);
  const loop = beginLoop("dpmSolverSinglestep", input, { stochastic: eta > 0 });
  const orders = singlestepOrders(loop.steps, order, {
    lowerOrderFinal: input.lowerOrderFinal ?? true,
    endsAtZero: loop.levels[loop.steps].std === 0,
  });
  const history: SolverAnswer[] = []; // latest first
  let { x } = loop;
  let base = x; // where the group began
  for (let step = loop.first; step < loop.steps; step++) {
    const from = loop.levels[step];
    const to = loop.levels[step + 1];
    const answer = await loop.evaluate(x, from, step);
    history.unshift(solverAnswer(x, answer, from, prediction));
    history.length = Math.min(history.length, order);
    const now = Math.min(orders[step], history.length);
    if (now === 1) base = x;
    const group = history.slice(0, now).reverse(); // from the group's first answer on
    const c = solverCoefficients(group[0].at, to, {
      prediction,
      type: now === 3 ? "heun" : solverType,
      eta,
      thirdOrderSde: input.thirdOrderSde,
    });
    const terms: Term[] = [[c.x, base], ...groupTerms(group, to, c, solverType)];
    if (eta > 0 && to.std > 0) terms.push([c.noise, loop.noise(from, to)]);
    x = combine(...terms);
    if (from.lambda === -Infinity) history.length = 0; // pure noise cannot begin a group
    yield loop.finished(step, x, answer.denoised);
  }
}

/** Orders of the steps: groups 1, 2, …, `order`, then what is left over. */
export function singlestepOrders(
  steps: number,
  order: 1 | 2 | 3,
  {
    lowerOrderFinal,
    endsAtZero,
  }: { readonly lowerOrderFinal: boolean; readonly endsAtZero: boolean },
): number[] {
  const group = [1, 2, 3].slice(0, order);
  const repeat = (count: number) => Array.from({ length: Math.max(0, count) }, () => group).flat();
  const rest = steps % order;
  if (!lowerOrderFinal && rest === 0 && !endsAtZero) return repeat(steps / order);
  // whole groups, but never one at the very end
  const orders =
    rest === 0
      ? [...repeat(steps / order - 1), ...group.slice(0, -1), 1]
      : [...repeat((steps - rest) / order), ...group.slice(0, rest)];
  if (endsAtZero) orders[steps - 1] = 1;
  return orders;
}

function groupTerms(
  group: readonly SolverAnswer[],
  to: Level,
  { d0, d1, d2 }: { readonly d0: number; readonly d1: number; readonly d2: number },
  type: SolverType,
): Term[] {
  const [m0, m1, m2] = group; // oldest first
  if (group.length === 1) return [[d0, m0.value]];
  const h = to.lambda - m0.at.lambda;
  const r1 = (m1.at.lambda - m0.at.lambda) / h;
  if (group.length === 2)
    return [
      [d0 - d1 / r1, m0.value],
      [d1 / r1, m1.value],
    ]; // D1 = (m1 − m0)/r1
  const r2 = (m2.at.lambda - m0.at.lambda) / h;
  // a = (m1 − m0)/r1, b = (m2 − m0)/r2; midpoint: D1 = b; Heun: D1 = (r2·a − r1·b)/(r2 − r1), D2 =
  // 2(b − a)/(r2 − r1)
  const a = type === "midpoint" ? 0 : (d1 * r2 - 2 * d2) / (r2 - r1);
  const b = type === "midpoint" ? d1 : (2 * d2 - d1 * r1) / (r2 - r1);
  return [
    [d0 - a / r1 - b / r2, m0.value],
    [a / r1, m1.value],
    [b / r2, m2.value],
  ];
}

function checkOptions({
  order = 2,
  prediction = "x0",
  solverType = "midpoint",
  eta = 0,
}: DpmSolverSinglestepOptions): void {
  const name = "dpmSolverSinglestep";
  checkChoice(name, "order", order, [1, 2, 3]);
  checkChoice(name, "prediction", prediction, ["x0", "eps"]);
  checkChoice(name, "solverType", solverType, ["midpoint", "heun"]);
  checkRange(name, "eta", eta, 0);
  if (prediction === "eps" && eta > 0)
    throw new NijimiError("option", `${name}: eta must be 0 with prediction "eps"; got ${eta}.`);
}
