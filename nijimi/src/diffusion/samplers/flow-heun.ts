/**
 * Heun's method for a rectified flow: {@link heun} in space "flow", diffusers'
 * `FlowMatchHeunDiscreteScheduler`.
 */
import { heun } from "./heun.ts";
import type { SamplerInput, SamplerRun } from "./types.ts";

/** Heun for flow matching. Order 2, two evaluations a step; deterministic. */
export function flowHeun(input: Omit<SamplerInput, "space">): SamplerRun {
  return heun({ ...input, space: "flow" });
}
