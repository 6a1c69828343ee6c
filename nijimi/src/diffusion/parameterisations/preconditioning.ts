/**
 * Every network as one denoiser: D(x, σ) = cSkip·x + cOut·F(cIn·x, cNoise), Karras et al. 2022
 * (EDM, arXiv:2206.00364), eq. 7 and table 1. A preconditioning gives the four numbers at a noise
 * level; `denoiser.ts` does the rest.
 */
import { type DiscreteSigmas, sigmaToTimestep } from "../schedules/discrete-sigmas.ts";
import type { DiffusionTables } from "../schedules/diffusion-tables.ts";
import { checkNumber } from "../schedules/check.ts";
import { levelOf } from "../samplers/space.ts";
import type { Space } from "../samplers/types.ts";
import { type PredictionType, x0Coefficients } from "./prediction.ts";

/** The four numbers of eq. 7. */
export interface Scalings {
  readonly cSkip: number;
  readonly cOut: number;
  /** Scale of what the network sees. */
  readonly cIn: number;
  /** What the network is told about the noise level: a timestep, a log, σ itself. */
  readonly cNoise: number;
}

/** The numbers at a noise level, for states of one space. */
export interface Preconditioning {
  readonly space: Space;
  readonly at: (sigma: number) => Scalings;
}

/**
 * EDM's own: unit variance in and out for data of standard deviation `sigmaData`, cNoise = ln(σ)/4.
 *
 * @param options `sigmaData` @default 0.5
 */
export function edmPreconditioning({ sigmaData = 0.5 } = {}): Preconditioning {
  checkNumber("edmPreconditioning", "sigmaData", sigmaData, { above: 0 });
  return {
    space: "ve",
    at: (sigma) => {
      const total = sigma ** 2 + sigmaData ** 2;
      return {
        cSkip: sigmaData ** 2 / total,
        cOut: (sigma * sigmaData) / Math.sqrt(total),
        cIn: 1 / Math.sqrt(total),
        cNoise: Math.log(sigma) / 4,
      };
    },
  };
}

/** Options of {@link discretePreconditioning}. */
export interface DiscretePreconditioningOptions {
  /** What the network predicts. @default "eps" */
  readonly prediction?: PredictionType;
  /** Scale of the states the sampler holds. @default "ve" */
  readonly space?: "ve" | "vp";
  /** Use the nearest whole timestep instead of a fraction. @default false */
  readonly quantize?: boolean;
  /**
   * What the network is told for a timestep: a respaced process's map, or t·1000/T. @default t
   * itself
   */
  readonly condition?: (timestep: number) => number;
}

/**
 * A variance-preserving network of whole timesteps (DDPM, ADM, GLIDE, Stable Diffusion),
 * conditioned on t.
 */
export function discretePreconditioning(
  table: DiscreteSigmas,
  {
    prediction = "eps",
    space = "ve",
    quantize = false,
    condition = (timestep) => timestep,
  }: DiscretePreconditioningOptions = {},
): Preconditioning {
  return {
    space,
    at: (sigma) => ({
      ...vpScalings(prediction, space, sigma),
      cNoise: condition(timestepOf(table, sigma, quantize)),
    }),
  };
}

/**
 * A variance-preserving network that predicts the mean of q(x_{t−1}|x_t, x_0) (Improved DDPM's
 * `PREVIOUS_X`): x0 = (out − c2·x_t)/c1 with the coefficients of the posterior mean.
 */
export function previousMeanPreconditioning(
  tables: DiffusionTables,
  table: DiscreteSigmas,
  {
    space = "ve",
    condition = (timestep) => timestep,
  }: Omit<DiscretePreconditioningOptions, "prediction" | "quantize"> = {},
): Preconditioning {
  return {
    space,
    at: (sigma) => {
      const t = timestepOf(table, sigma, true);
      const cIn = space === "ve" ? levelOf("vp", sigma).alpha : 1;
      const c1 = tables.posteriorMeanCoef1[t];
      return {
        cSkip: (-tables.posteriorMeanCoef2[t] / c1) * cIn,
        cOut: 1 / c1,
        cIn,
        cNoise: condition(t),
      };
    },
  };
}

/**
 * A network of rectified flow in the space `flow`, conditioned on σ·`timestepScale` (1000 in Stable
 * Diffusion 3 and Flux's files).
 */
export function flowPreconditioning({
  prediction = "flow" as PredictionType,
  timestepScale = 1000,
} = {}): Preconditioning {
  return {
    space: "flow",
    at: (sigma) => {
      const { x, output } = x0Coefficients(prediction, levelOf("flow", sigma));
      return { cSkip: x, cOut: output, cIn: 1, cNoise: sigma * timestepScale };
    },
  };
}

/**
 * A network of the variance-exploding process, conditioned on σ (NCSN++) or on what `condition`
 * makes of it (NCSN: the index of its level).
 *
 * @param options `prediction`: "score" for NCSN's networks @default "score"
 */
export function vePreconditioning({
  prediction = "score" as PredictionType,
  condition = (sigma: number) => sigma,
} = {}): Preconditioning {
  return {
    space: "ve",
    at: (sigma) => {
      const { x, output } = x0Coefficients(prediction, { alpha: 1, std: sigma });
      return { cSkip: x, cOut: output, cIn: 1, cNoise: condition(sigma) };
    },
  };
}

/**
 * A variance-preserving network of continuous time (DDPM++, Imagen, EDM's "VP" row), conditioned on
 * a function of σ: see `vpTimeOfSigma` for the time of Song et al.'s process; log-SNR is −2·ln σ.
 */
export function vpPreconditioning({
  prediction = "eps" as PredictionType,
  space = "ve" as "ve" | "vp",
  condition,
}: {
  readonly prediction?: PredictionType;
  readonly space?: "ve" | "vp";
  readonly condition: (sigma: number) => number;
}): Preconditioning {
  return {
    space,
    at: (sigma) => ({ ...vpScalings(prediction, space, sigma), cNoise: condition(sigma) }),
  };
}

/**
 * Time t at which Song et al.'s VP process has the noise : signal ratio σ: the root of β_d·t²/2 +
 * β_min·t = ln(1 + σ²).
 */
export function vpTimeOfSigma(sigma: number, { betaMin = 0.1, betaMax = 20 } = {}): number {
  const betaD = betaMax - betaMin;
  return (Math.sqrt(betaMin ** 2 + 2 * betaD * Math.log1p(sigma ** 2)) - betaMin) / betaD;
}

/** cSkip, cOut and cIn of a network that sees x_VP = α·x_VE. */
function vpScalings(
  prediction: PredictionType,
  space: "ve" | "vp",
  sigma: number,
): Omit<Scalings, "cNoise"> {
  const level = levelOf("vp", sigma);
  const { x, output } = x0Coefficients(prediction, level);
  const cIn = space === "ve" ? level.alpha : 1;
  return { cSkip: x * cIn, cOut: output, cIn };
}

/**
 * The timestep of σ; fractions that are only rounding are dropped, and σ = ∞ is the last timestep.
 */
function timestepOf(table: DiscreteSigmas, sigma: number, quantize: boolean): number {
  const t = sigmaToTimestep(table, sigma, { quantize });
  const whole = Math.round(t);
  return Math.abs(t - whole) < 1e-6 ? whole : t;
}
