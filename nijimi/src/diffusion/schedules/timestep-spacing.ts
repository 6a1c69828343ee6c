/**
 * Which training timesteps a sampler visits. Three spacings have names (Lin et al. 2024,
 * arXiv:2305.08891, table 2; diffusers' `timestep_spacing`); two more come from the code of DDIM
 * and LDM. All return timesteps from noisy to clean unless said.
 */
import { roundHalfEven } from "../../internal/round-half-even.ts";
import { unknownName } from "../../errors.ts";
import { checkSteps } from "./check.ts";
import { arange, linspace } from "./numbers.ts";

/** Names of the spacings. */
export const TIMESTEP_SPACINGS = ["linspace", "leading", "trailing"] as const;
export type TimestepSpacing = (typeof TIMESTEP_SPACINGS)[number];

/** Options of {@link spacedTimesteps}. */
export interface SpacedTimestepsOptions {
  readonly spacing: TimestepSpacing;
  /** Number of timesteps in training, T. */
  readonly trainSteps: number;
  /** Number of timesteps wanted. */
  readonly steps: number;
  /** Added to every timestep of the leading spacing. @default 0 */
  readonly stepsOffset?: number;
  /** Round to whole timesteps (half to even); without, "linspace" gives fractions. @default true */
  readonly round?: boolean;
  /**
   * Space one timestep more and leave out the last, cleanest one, as diffusers does for DPM-Solver,
   * UniPC, DEIS and SA-Solver. Has no effect on "trailing". @default false
   */
  readonly dropLast?: boolean;
}

/**
 * Timesteps in decreasing order.
 *
 * - linspace: T−1 … 0, both included
 * - leading: multiples of ⌊T/steps⌋ from `stepsOffset` on: never reaches T−1
 * - trailing: T−1 and down in strides of T/steps: never reaches 0
 *
 * @example
 * spacedTimesteps({ spacing: "leading", trainSteps: 1000, steps: 50, stepsOffset: 1 });
 * // 981, 961, …, 1
 */
export function spacedTimesteps({
  spacing,
  trainSteps,
  steps,
  stepsOffset = 0,
  round = true,
  dropLast = false,
}: SpacedTimestepsOptions): Float64Array {
  checkSteps("spacedTimesteps", trainSteps, { name: "trainSteps" });
  const spare = dropLast && spacing !== "trailing" ? 1 : 0;
  checkSteps("spacedTimesteps", steps, { maximum: trainSteps - spare });
  const rounded = (value: number) => (round ? roundHalfEven(value) : value);
  const count = dropLast ? steps + 1 : steps;
  switch (spacing) {
    case "linspace":
      return linspace(0, trainSteps - 1, count)
        .map(rounded)
        .reverse()
        .slice(0, steps);
    case "leading": {
      const stride = Math.floor(trainSteps / count);
      return Float64Array.from({ length: count }, (_, i) => i * stride + stepsOffset)
        .reverse()
        .slice(0, steps);
    }
    case "trailing":
      return arange(trainSteps, 0, -trainSteps / steps)
        .map((t) => roundHalfEven(t) - 1)
        .slice(0, steps); // rounding of the stride may give one timestep too many
    default:
      throw unknownName("timestep spacing", String(spacing), TIMESTEP_SPACINGS);
  }
}

/**
 * DDIM's subsequences (Song et al. 2021, arXiv:2010.02502, appendix D.2), increasing, as its code
 * and LDM's compute them. "uniform" has stride ⌊T/steps⌋ and may hold more than `steps` timesteps;
 * "quadratic" is ⌊linspace(0, √(0.8·T))²⌋.
 *
 * @param offset added to every timestep: 0 in ddim, 1 in LDM and Stable Diffusion
 */
export function ddimTimesteps(
  method: "uniform" | "quadratic",
  {
    trainSteps,
    steps,
    offset = 0,
  }: { readonly trainSteps: number; readonly steps: number; readonly offset?: number },
): Float64Array {
  checkSteps("ddimTimesteps", trainSteps, { name: "trainSteps" });
  checkSteps("ddimTimesteps", steps, { maximum: trainSteps });
  switch (method) {
    case "uniform":
      return arange(0, trainSteps, Math.floor(trainSteps / steps)).map((t) => t + offset);
    case "quadratic":
      return linspace(0, Math.sqrt(trainSteps * 0.8), steps).map(
        (root) => Math.floor(root ** 2) + offset,
      );
    default:
      throw unknownName("DDIM subsequence", String(method), ["uniform", "quadratic"]);
  }
}
