/**
 * Diffusion processes for training: how noise levels are drawn, what the network is given and should give at each, and
 * how much each counts. Three families by name; everything else of the core's schedules, parameterisations and weights
 * is a setting.
 *
 * - `discrete`: whole timesteps of a variance-preserving process (Ho et al. 2020, arXiv:2006.11239)
 * - `edm`: log-normal levels with preconditioning (Karras et al. 2022, arXiv:2206.00364)
 * - `flow`: straight paths, levels logit-normal (Esser et al. 2024, arXiv:2403.03206)
 */
import { unknownName } from "../../../errors.ts";
import { normalQuantile } from "../../../diffusion/likelihood/normal-distribution.ts";
import { logNormalDensity } from "../../../diffusion/losses/noise-level-densities.ts";
import type { ErrorNorm } from "../../../diffusion/losses/traced.ts";
import {
  debiasedWeight,
  minSnrWeight,
  p2Weight,
  truncatedSnrWeight,
  type WeightedPrediction,
} from "../../../diffusion/losses/weights.ts";
import {
  discretePreconditioning,
  edmPreconditioning,
  flowPreconditioning,
  type Preconditioning,
} from "../../../diffusion/parameterisations/preconditioning.ts";
import { type BetaScheduleName, makeBetas } from "../../../diffusion/schedules/betas.ts";
import { diffusionTables } from "../../../diffusion/schedules/diffusion-tables.ts";
import { discreteSigmasOf } from "../../../diffusion/schedules/discrete-sigmas.ts";
import { karrasSigmas } from "../../../diffusion/schedules/sigmas-karras.ts";
import { turboSigmas } from "../../../diffusion/schedules/sigmas-timestep-grids.ts";
import type { SettingValue } from "../../recipe.ts";

export const PROCESSES = ["discrete", "edm", "flow"] as const;
export const WEIGHTINGS = ["none", "min-snr", "truncated-snr", "p2", "debiased"] as const;

/** Settings of a process. */
export interface ProcessSettings {
  readonly [key: string]: SettingValue;
  readonly process: (typeof PROCESSES)[number];
  /** Of `discrete`. */
  readonly schedule: BetaScheduleName;
  readonly timesteps: number;
  readonly betaStart: number;
  readonly betaEnd: number;
  readonly prediction: WeightedPrediction;
  readonly weighting: (typeof WEIGHTINGS)[number];
  /** γ of min-SNR. */
  readonly gamma: number;
  /** How errors are measured: "l2", "l1", "huber" or "pseudo-huber". */
  readonly norm: ErrorNorm;
}

/** DDPM's process with the usual betas, predicting v. */
export const PROCESS_DEFAULTS: ProcessSettings = {
  process: "discrete",
  schedule: "linear",
  timesteps: 1000,
  betaStart: 1e-4,
  betaEnd: 0.02,
  prediction: "v",
  weighting: "min-snr",
  gamma: 5,
  norm: "l2",
};

/** A process as training and previews use it. */
export interface Process {
  readonly preconditioning: Preconditioning;
  /** Noise level at a quantile u ∈ [0, 1). */
  readonly draw: (u: number) => number;
  /** How much the squared error of the network's output counts at a level. */
  readonly weight: (sigma: number) => number;
  /** Levels of a sampler of so many steps, falling to 0. */
  readonly sigmas: (steps: number) => Float64Array;
}

/**
 * The process of some settings.
 *
 * @throws NijimiError `option` for unknown names
 */
export function makeProcess(settings: ProcessSettings): Process {
  switch (settings.process) {
    case "discrete":
      return discreteProcess(settings);
    case "edm":
      return {
        preconditioning: edmPreconditioning(),
        draw: (u) => logNormalDensity()(Math.max(u, 1e-6)),
        weight: () => 1, // EDM's λ times cOut²
        sigmas: (steps) => karrasSigmas(steps, { sigmaMin: 0.002, sigmaMax: 80 }),
      };
    case "flow":
      return {
        preconditioning: flowPreconditioning(),
        draw: (u) => 1 / (1 + Math.exp(-normalQuantile(Math.max(u, 1e-6)))),
        weight: () => 1,
        sigmas: (steps) => Float64Array.from({ length: steps + 1 }, (_, i) => 1 - i / steps),
      };
    default:
      throw unknownName("diffusion process", String(settings.process), PROCESSES);
  }
}

function discreteProcess(settings: ProcessSettings): Process {
  const { schedule, timesteps, betaStart, betaEnd, prediction } = settings;
  const betas = makeBetas({ schedule, steps: timesteps, betaStart, betaEnd });
  const table = discreteSigmasOf(diffusionTables(betas).alphasCumprod);
  return {
    preconditioning: discretePreconditioning(table, { prediction, space: "vp" }),
    draw: (u) => table.sigmas[Math.min(timesteps - 1, Math.floor(u * timesteps))],
    weight: (sigma) => weightAt(settings, 1 / sigma ** 2),
    sigmas: (steps) => turboSigmas(table, steps),
  };
}

function weightAt({ weighting, prediction, gamma }: ProcessSettings, snr: number): number {
  switch (weighting) {
    case "none":
      return 1;
    case "min-snr":
      return minSnrWeight(prediction, snr, gamma);
    case "truncated-snr":
      return truncatedSnrWeight(prediction, snr);
    case "p2":
      return p2Weight(prediction, snr);
    case "debiased":
      return debiasedWeight(prediction, snr);
    default:
      throw unknownName("weighting", String(weighting), WEIGHTINGS);
  }
}
