/**
 * DPM++ 3M SDE: the third-order multistep form of DPM++ 2M SDE, k-diffusion's
 * `sample_dpmpp_3m_sde`.
 */
import { dpmSolverMultistep } from "./dpm-solver-multistep.ts";
import type { AncestralOptions } from "./euler-ancestral.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/**
 * DPM++ 3M SDE. Order 3 at eta 0; one evaluation a step; its second-order steps are of Heun's type.
 */
export function dpmpp3mSde({ eta = 1, ...input }: SamplerInput & AncestralOptions): SamplerRun {
  return dpmSolverMultistep({
    ...input,
    eta,
    order: 3,
    solverType: "heun",
    prediction: "x0",
    lowerOrderFinal: false,
  });
}
