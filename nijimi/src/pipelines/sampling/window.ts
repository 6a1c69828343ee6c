/**
 * Which steps of a schedule are run: from where a picture's noise begins, and, for models that share the work
 * (SDXL's base and refiner; eDiff-I, arXiv:2211.01324), up to or from a share of the way.
 *
 * Shares are cut at timesteps, as in diffusers; but a step of two evaluations, which diffusers cuts in its middle,
 * is run whole.
 */
import { NijimiError } from "../../errors.ts";
import type { SamplingPlan } from "./plan.ts";

/** What is asked for. */
export interface WindowRequest {
  /** Share of the noise that is added to a picture: the last steps. @default 1 */
  readonly strength?: number;
  /** Share of the way at which another model has stopped. */
  readonly denoisingStart?: number;
  /** Share of the way after which another model goes on. */
  readonly denoisingEnd?: number;
}

/** Steps `first` … `end` − 1. */
export interface SamplingWindow {
  readonly first: number;
  readonly end: number;
}

/** The steps to run. @throws NijimiError `option` when none is left */
export function samplingWindow(
  plan: SamplingPlan,
  { strength = 1, denoisingStart, denoisingEnd }: WindowRequest,
): SamplingWindow {
  const first =
    denoisingStart === undefined
      ? stepOfStrength(plan, strength)
      : stepsAbove(plan, "denoisingStart", denoisingStart);
  const end =
    denoisingEnd === undefined ? plan.steps : stepsAbove(plan, "denoisingEnd", denoisingEnd);
  if (first >= end)
    throw new NijimiError(
      "option",
      `denoisingStart ${denoisingStart ?? 0} and denoisingEnd ${denoisingEnd ?? 1} of ${plan.steps} steps leave none to run.`,
    );
  return { first, end };
}

/** diffusers' rule: int(steps · strength) steps are run. */
function stepOfStrength({ steps }: SamplingPlan, strength: number): number {
  if (!(strength > 0 && strength <= 1))
    throw new NijimiError("option", `strength must be above 0 and at most 1; got ${strength}.`);
  const run = Math.min(Math.trunc(steps * strength), steps);
  if (run < 1)
    throw new NijimiError(
      "option",
      `strength ${strength} of ${steps} steps leaves none to run; raise one of them.`,
    );
  return steps - run;
}

/** Steps that begin before a share of the timesteps has passed. */
function stepsAbove(plan: SamplingPlan, name: string, share: number): number {
  if (!(share >= 0 && share <= 1))
    throw new NijimiError("option", `${name} must lie between 0 and 1; got ${share}.`);
  const cutoff = Math.round(plan.trainedTimesteps * (1 - share));
  return Array.from({ length: plan.steps }, (_, step) => plan.timestepAt(step)).filter(
    (timestep) => timestep >= cutoff,
  ).length;
}
