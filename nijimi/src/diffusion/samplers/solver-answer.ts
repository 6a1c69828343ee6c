/** The network's answers as solvers of the DPM-Solver family remember them. */
import type { Tensor } from "../../tensor/tensor.ts";
import { epsOf } from "./arithmetic.ts";
import type { SolverPrediction } from "./dpm-solver-formulas.ts";
import type { Level } from "./space.ts";
import type { Prediction } from "./types.ts";

/** An answer, as x0 or as ε. */
export interface SolverAnswer {
  readonly at: Level;
  readonly value: Tensor<"float32">;
}

/** The answer at x in the terms that a solver works in. */
export function solverAnswer(
  x: Tensor<"float32">,
  answer: Prediction,
  at: Level,
  prediction: SolverPrediction,
): SolverAnswer {
  return { at, value: prediction === "x0" ? answer.denoised : epsOf(x, answer, at) };
}
