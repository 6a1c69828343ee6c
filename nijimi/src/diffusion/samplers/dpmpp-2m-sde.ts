/**
 * DPM++ 2M SDE: the reverse SDE of DPM-Solver++ with the previous answer, k-diffusion's
 * `sample_dpmpp_2m_sde`.
 */
import { dpmSolverMultistep } from "./dpm-solver-multistep.ts";
import type { SolverType } from "./dpm-solver-formulas.ts";
import type { AncestralOptions } from "./euler-ancestral.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/** Options of {@link dpmpp2mSde}. */
export interface Dpmpp2mSdeOptions extends AncestralOptions {
  /** @default "midpoint" */
  readonly solverType?: SolverType;
}

/**
 * DPM++ 2M SDE. Order 2 at eta 0; one evaluation a step. Give it Brownian noise for the same path
 * at any step size.
 */
export function dpmpp2mSde({
  eta = 1,
  solverType = "midpoint",
  ...input
}: SamplerInput & Dpmpp2mSdeOptions): SamplerRun {
  return dpmSolverMultistep({
    ...input,
    eta,
    solverType,
    order: 2,
    prediction: "x0",
    lowerOrderFinal: false,
  });
}
