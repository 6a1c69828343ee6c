/** Beta schedules by name. */
import { NijimiError, unknownName } from "../../errors.ts";
import {
  betasFromAlphaBar,
  cosineAlphaBar,
  exponentialAlphaBar,
  laplaceAlphaBar,
} from "./betas-alpha-bar.ts";
import { constantBetas, jsdBetas, warmupBetas } from "./betas-ddpm.ts";
import {
  type BetaRange,
  linearBetas,
  linearBetasPerThousand,
  scaledLinearBetas,
  sqrtBetas,
} from "./betas-polynomial.ts";
import { sigmoidBetas } from "./betas-sigmoid.ts";
import { checkBetas, checkSteps } from "./check.ts";
import { rescaleZeroTerminalSnr } from "./zero-terminal-snr.ts";

/** What a named schedule may depend on; a schedule ignores what it has no use for. */
export interface BetaOptions extends BetaRange {
  /** Offset of the cosine curve. @default 0.008 */
  readonly cosineS?: number;
}

/** Every beta schedule: name → betas of `steps` timesteps. */
export const BETA_SCHEDULES = {
  linear: linearBetas,
  "scaled-linear": scaledLinearBetas,
  sqrt: sqrtBetas,
  "linear-per-thousand": (steps) => linearBetasPerThousand(steps),
  "quadratic-per-thousand": (steps) => linearBetasPerThousand(steps, { power: 2 }),
  cosine: (steps, { cosineS }) => betasFromAlphaBar(steps, (u) => cosineAlphaBar(u, cosineS)),
  exponential: (steps) => betasFromAlphaBar(steps, exponentialAlphaBar),
  laplace: (steps) => betasFromAlphaBar(steps, laplaceAlphaBar),
  sigmoid: sigmoidBetas,
  constant: constantBetas,
  jsd: jsdBetas,
  "warmup-10": (steps, range) => warmupBetas(steps, { ...range, fraction: 0.1 }),
  "warmup-50": (steps, range) => warmupBetas(steps, { ...range, fraction: 0.5 }),
} as const satisfies Record<string, (steps: number, options: BetaOptions) => Float64Array>;

/** Name of a beta schedule. */
export type BetaScheduleName = keyof typeof BETA_SCHEDULES;

/** diffusers' names (`beta_schedule` of `scheduler_config.json`) → ours. */
export const DIFFUSERS_BETA_SCHEDULES: Readonly<Record<string, BetaScheduleName>> = {
  linear: "linear",
  scaled_linear: "scaled-linear",
  squaredcos_cap_v2: "cosine",
  sigmoid: "sigmoid",
  laplace: "laplace",
  exp: "exponential",
};

/** Options of {@link makeBetas}. */
export interface MakeBetasOptions extends BetaOptions {
  /** Name of the schedule; ignored when `trained` is given. @default "linear" */
  readonly schedule?: BetaScheduleName;
  /** Number of timesteps. @default 1000 */
  readonly steps?: number;
  /** Betas given outright (diffusers' `trained_betas`). */
  readonly trained?: ArrayLike<number> | null;
  /** Rescale to zero terminal SNR. @default false */
  readonly zeroTerminalSnr?: boolean;
}

/**
 * The betas of a diffusion process.
 *
 * @throws NijimiError `option` for an unknown schedule, a number of steps < 1 or betas outside [0,
 *   1]
 * @example
 * // Stable Diffusion's
 * const betas = makeBetas({ schedule: "scaled-linear", betaStart: 0.00085, betaEnd: 0.012 });
 */
export function makeBetas({
  schedule = "linear",
  steps = 1000,
  trained,
  zeroTerminalSnr = false,
  ...options
}: MakeBetasOptions = {}): Float64Array {
  if (!trained && !Object.hasOwn(BETA_SCHEDULES, schedule))
    throw unknownName("beta schedule", String(schedule), Object.keys(BETA_SCHEDULES));
  checkSteps("makeBetas", steps);
  if (trained && trained.length === 0)
    throw new NijimiError("option", "makeBetas: trained betas are empty.");
  const betas = trained ? Float64Array.from(trained) : BETA_SCHEDULES[schedule](steps, options);
  checkBetas("makeBetas", betas);
  return zeroTerminalSnr ? rescaleZeroTerminalSnr(betas) : betas;
}
