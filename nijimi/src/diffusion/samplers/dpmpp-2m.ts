/**
 * DPM++ 2M: DPM-Solver++ of order 2 with the previous answer (arXiv:2211.01095, algorithm 2),
 * k-diffusion's `sample_dpmpp_2m`.
 */
import { dpmSolverMultistep } from "./dpm-solver-multistep.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/** DPM++ 2M. Order 2, one evaluation a step; deterministic. */
export function dpmpp2m(input: SamplerInput): SamplerRun {
  return dpmSolverMultistep({
    ...input,
    order: 2,
    prediction: "x0",
    solverType: "midpoint",
    eta: 0,
    lowerOrderFinal: false,
  });
}
