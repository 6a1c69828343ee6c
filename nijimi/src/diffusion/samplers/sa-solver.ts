/**
 * SA-Solver: Xue et al. 2023, "SA-Solver: Stochastic Adams Solver for Fast Sampling of Diffusion
 * Models" (arXiv:2309.05019): stochastic Adams–Bashforth predictor and Adams–Moulton corrector with
 * noise strength τ. Follows diffusers' `SASolverScheduler`, including its rectified second-order
 * coefficients for x0 (they match UniPC's bh2 at τ = 0).
 */
import type { Tensor } from "../../tensor/tensor.ts";
import { combine, type Term, transfer } from "./arithmetic.ts";
import type { SolverPrediction } from "./dpm-solver-formulas.ts";
import { exponentialWeights } from "./exponential-weights.ts";
import { beginLoop, checkChoice } from "./loop.ts";
import { type SolverAnswer, solverAnswer } from "./solver-answer.ts";
import { type Level, ratioOf } from "./space.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

type F32 = Tensor<"float32">;

/** Options of {@link saSolver}. */
export interface SaSolverOptions {
  /** @default 2 */
  readonly predictorOrder?: 1 | 2 | 3 | 4;
  /** @default 2 */
  readonly correctorOrder?: 1 | 2 | 3 | 4;
  /** @default "x0" */
  readonly prediction?: SolverPrediction;
  /**
   * Noise strength τ ≥ 0 of the step that starts at `sigma`. @default 1 for noise : signal ratios
   * in [0.05, 1], else 0 (the paper's CIFAR-10)
   */
  readonly tau?: (sigma: number, step: number) => number;
  /** @default true */
  readonly lowerOrderFinal?: boolean;
}

/** What the corrector needs of the step it corrects. */
interface Taken {
  readonly x: F32;
  readonly noise: F32;
  readonly tau: number;
  readonly correctorOrder: number;
}

/** SA-Solver. One evaluation a step; stochastic where τ > 0. */
export async function* saSolver(input: SamplerInput & SaSolverOptions): SamplerRun {
  const {
    predictorOrder = 2,
    correctorOrder = 2,
    prediction = "x0",
    lowerOrderFinal = true,
  } = input;
  checkChoice("saSolver", "predictorOrder", predictorOrder, [1, 2, 3, 4]);
  checkChoice("saSolver", "correctorOrder", correctorOrder, [1, 2, 3, 4]);
  checkChoice("saSolver", "prediction", prediction, ["x0", "eps"]);
  const loop = beginLoop("saSolver", input, { stochastic: true });
  const tauOf = input.tau ?? ((sigma: number) => defaultTau(ratioOf(loop.level(sigma))));
  const kept = Math.max(predictorOrder, correctorOrder - 1);
  let history: SolverAnswer[] = []; // latest first
  let taken: Taken | undefined;
  let { x } = loop;
  for (let step = loop.first; step < loop.steps; step++) {
    const from = loop.levels[step];
    const to = loop.levels[step + 1];
    const answer = await loop.evaluate(x, from, step);
    const latest = solverAnswer(x, answer, from, prediction);
    if (taken)
      x = adams(
        taken,
        history[0].at,
        from,
        [latest, ...history].slice(0, taken.correctorOrder),
        prediction,
        "corrector",
      );
    const before = Math.min(history.length, kept);
    history = [latest, ...history].slice(0, kept);
    const remaining = lowerOrderFinal ? loop.steps - step : Infinity;
    taken = {
      x,
      noise: loop.noise(from, to),
      tau: tauOf(from.sigma, step),
      correctorOrder: Math.min(correctorOrder, remaining + 1, before + 2),
    };
    const order = Math.min(predictorOrder, remaining, before + 1);
    x =
      to.std === 0 || from.lambda === -Infinity
        ? transfer(x, answer.denoised, from, to)
        : adams(taken, from, to, history.slice(0, order), prediction, "predictor");
    if (from.lambda === -Infinity) [history, taken] = [[], undefined]; // from pure noise λ has no beginning to extrapolate from
    yield loop.finished(step, x, answer.denoised);
  }
}

function defaultTau(ratio: number): number {
  return ratio >= 0.05 && ratio <= 1 ? 1 : 0;
}

/**
 * The step `from` → `to` through the given answers, latest first: eq. 14 (x0) and its counterpart
 * for ε.
 */
function adams(
  { x, noise, tau }: Taken,
  from: Level,
  to: Level,
  answers: readonly SolverAnswer[],
  prediction: SolverPrediction,
  role: "predictor" | "corrector",
): F32 {
  const h = to.lambda - from.lambda;
  const c = 1 + tau * tau;
  const nodes = answers.map(({ at }) => to.lambda - at.lambda);
  const weights = exponentialWeights(prediction === "x0" ? c : -1, h, nodes);
  if (prediction === "x0" && answers.length === 2) {
    const extra =
      rectification(c, h) *
      (role === "predictor"
        ? 1 / (answers[0].at.lambda - answers[1].at.lambda)
        : h === 0
          ? 0
          : 1 / h);
    weights[0] += extra;
    weights[1] -= extra;
  }
  const scale = prediction === "x0" ? c * to.alpha : -c * to.std;
  const terms = answers.map(({ value }, i): Term => [scale * weights[i], value]);
  if (prediction === "x0")
    return combine([Math.exp(-tau * tau * h) * (to.std / from.std), x], ...terms, [
      to.std * Math.sqrt(-Math.expm1(-2 * tau * tau * h)),
      noise,
    ]);
  return combine([to.alpha / from.alpha, x], ...terms, [
    tau * to.std * Math.sqrt(Math.expm1(2 * h)),
    noise,
  ]);
}

/** h²/2 − (ch − 1 + e^{−ch})/c²: what exact integration of a linear term lacks of the trapezoid. */
function rectification(c: number, h: number): number {
  return (h * h) / 2 - (c * h + Math.expm1(-c * h)) / (c * c);
}
