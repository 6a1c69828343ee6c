/**
 * UniPC: Zhao et al. 2023, "UniPC: A Unified Predictor-Corrector Framework" (arXiv:2302.04867),
 * UniP-p and UniC-p with B(h) = h (bh1) or e^h − 1 (bh2), in terms of x0 or ε. The corrector of a
 * step uses the evaluation that the next step needs anyway.
 */
import type { Tensor } from "../../tensor/tensor.ts";
import { combine, type Term } from "./arithmetic.ts";
import type { SolverPrediction } from "./dpm-solver-formulas.ts";
import { beginLoop, checkChoice, checkRange } from "./loop.ts";
import { solveLinear } from "./solve-linear.ts";
import { type SolverAnswer, solverAnswer } from "./solver-answer.ts";
import type { Level } from "./space.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

type F32 = Tensor<"float32">;

/** Options of {@link unipc}. */
export interface UnipcOptions {
  /** Order p of the predictor; corrected steps have order p + 1. @default 2 */
  readonly order?: number;
  /** B(h). @default "bh2" */
  readonly variant?: "bh1" | "bh2";
  /** @default "x0" */
  readonly prediction?: SolverPrediction;
  /** Lower the order towards the end of the schedule. @default true */
  readonly lowerOrderFinal?: boolean;
  /** Steps whose result is not corrected. @default none */
  readonly disableCorrector?: readonly number[];
}

/** UniPC. One evaluation a step; deterministic. */
export async function* unipc(input: SamplerInput & UnipcOptions): SamplerRun {
  const {
    order = 2,
    variant = "bh2",
    prediction = "x0",
    lowerOrderFinal = true,
    disableCorrector = [],
  } = input;
  checkRange("unipc", "order", order, 1, 8);
  checkChoice("unipc", "variant", variant, ["bh1", "bh2"]);
  checkChoice("unipc", "prediction", prediction, ["x0", "eps"]);
  const loop = beginLoop("unipc", input);
  const update = (base: F32, known: readonly SolverAnswer[], to: Level, next?: F32) =>
    uniUpdate(base, known, to, { variant, prediction, next });
  let history: SolverAnswer[] = []; // latest first
  let { x } = loop;
  let base = x; // the (corrected) state the last step started from
  let lastOrder = 0;
  for (let step = loop.first; step < loop.steps; step++) {
    const from = loop.levels[step];
    const to = loop.levels[step + 1];
    const answer = await loop.evaluate(x, from, step);
    const latest = solverAnswer(x, answer, from, prediction);
    const correct = lastOrder > 0 && !disableCorrector.includes(step - 1);
    if (correct) x = update(base, history.slice(0, lastOrder), from, latest.value);
    history = [latest, ...history].slice(0, order);
    const remaining = lowerOrderFinal ? loop.steps - step : order;
    lastOrder = to.std === 0 ? 1 : Math.min(order, remaining, history.length);
    base = x;
    x = update(base, history.slice(0, lastOrder), to);
    if (from.lambda === -Infinity) [history, lastOrder] = [[], 0]; // from pure noise λ has no beginning to extrapolate from
    yield loop.finished(step, x, answer.denoised);
  }
}

/**
 * UniP (without `next`) or UniC (with the answer `next` at the target). `known` is latest first.
 */
function uniUpdate(
  x: F32,
  known: readonly SolverAnswer[],
  to: Level,
  {
    variant,
    prediction,
    next,
  }: {
    readonly variant: "bh1" | "bh2";
    readonly prediction: SolverPrediction;
    readonly next?: F32;
  },
): F32 {
  const [{ at: from, value: m0 }, ...older] = known;
  const h = to.lambda - from.lambda;
  if (h === 0) return x; // schedules whose last level is there twice
  const hh = prediction === "x0" ? -h : h;
  const scale = prediction === "x0" ? to.alpha : to.std;
  const phi1 = Math.expm1(hh);
  const bh = variant === "bh1" ? hh : phi1;
  const ratios = older.map(({ at }) => (at.lambda - from.lambda) / h);
  const rho = uniWeights(hh, bh, ratios, next !== undefined);
  let atM0 = phi1;
  const terms: Term[] = older.map(({ value }, i) => {
    const weight = (bh * rho[i]) / ratios[i]; // ρ·(m_i − m0)/r_i
    atM0 -= weight;
    return [-scale * weight, value];
  });
  if (next) {
    const weight = bh * rho[older.length];
    atM0 -= weight;
    terms.push([-scale * weight, next]);
  }
  const keep = prediction === "x0" ? to.std / from.std : to.alpha / from.alpha;
  return combine([keep, x], [-scale * atM0, m0], ...terms);
}

/**
 * ρ: solution of Σ ρ_m·r_m^{k−1} = k!·φ_{k+1}(h)/B(h)·h (the paper's eq. 9); fixed to ½ where there
 * is one unknown.
 */
function uniWeights(
  hh: number,
  bh: number,
  ratios: readonly number[],
  corrector: boolean,
): number[] {
  const r = corrector ? [...ratios, 1] : [...ratios];
  if (r.length === 0) return [];
  if (r.length === 1) return [0.5];
  const right: number[] = [];
  let phi = Math.expm1(hh) / hh - 1;
  let factorial = 1;
  for (let k = 1; k <= r.length; k++) {
    right.push((phi * factorial) / bh);
    factorial *= k + 1;
    phi = phi / hh - 1 / factorial;
  }
  const rows = right.map((_, k) => r.map((ratio) => ratio ** k));
  return solveLinear(rows, right);
}
