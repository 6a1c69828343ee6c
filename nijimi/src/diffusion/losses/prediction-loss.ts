/**
 * The loss that all diffusion models share: noise the data, ask the network, compare with what it
 * should have said (Ho et al. 2020, arXiv:2006.11239, eq. 14, L_simple, for ε; Salimans & Ho 2022,
 * arXiv:2202.00512, for x0 and v; Lipman et al. 2023, arXiv:2210.02747, and Liu et al. 2022,
 * arXiv:2209.03003, for flow).
 *
 * The weights of the literature (min-SNR, P2, …) multiply the result; see `weights.ts`.
 */
import { add, div, neg, sub } from "../../graph/ops.ts";
import type { Sym } from "../../graph/primitives.ts";
import { unknownName } from "../../errors.ts";
import { PREDICTION_TYPES, type PredictionType } from "../parameterisations/prediction.ts";
import type { DiffusionTables } from "../schedules/diffusion-tables.ts";
import {
  elementError,
  type ErrorNorm,
  lookUp,
  meanPerSample,
  scaleBatch,
  type TracedNetwork,
} from "./traced.ts";

/** How much signal and noise every sample of a batch gets: float32 [B] each. */
export interface TracedMixture {
  readonly alpha: Sym;
  readonly std: Sym;
}

/** α_t and σ_t of a discrete process at the timesteps of a batch. @param t int64 [B] */
export function mixtureAt({ alphasCumprod }: DiffusionTables, t: Sym): TracedMixture {
  return {
    alpha: lookUp(alphasCumprod.map(Math.sqrt), t),
    std: lookUp(
      alphasCumprod.map((a) => Math.sqrt(1 - a)),
      t,
    ),
  };
}

/** x = α·x0 + σ·noise. */
export function addNoise(x0: Sym, noise: Sym, { alpha, std }: TracedMixture): Sym {
  return add(scaleBatch(alpha, x0), scaleBatch(std, noise));
}

/** What the network should predict. */
export function tracedTarget(
  type: PredictionType,
  x0: Sym,
  noise: Sym,
  { alpha, std }: TracedMixture,
): Sym {
  switch (type) {
    case "eps":
      return noise;
    case "x0":
      return x0;
    case "v":
      return sub(scaleBatch(alpha, noise), scaleBatch(std, x0));
    case "score":
      return neg(scaleBatch(div(1, std), noise));
    case "flow":
      return sub(noise, x0);
    default:
      throw unknownName("prediction type", String(type), PREDICTION_TYPES);
  }
}

/** Input of {@link predictionLoss}. */
export interface PredictionLossOptions {
  readonly network: TracedNetwork;
  /** Data [B, …]. */
  readonly x0: Sym;
  /** Unit Gaussian noise of x0's shape. */
  readonly noise: Sym;
  /**
   * Signal and noise of every sample: {@link mixtureAt}, or made on the host for continuous time.
   */
  readonly mixture: TracedMixture;
  /** What the network is told, [B]. */
  readonly condition: Sym;
  /** @default "eps" */
  readonly prediction?: PredictionType;
  /** @default "l2" */
  readonly norm?: ErrorNorm;
}

/**
 * Mean error per sample: [B].
 *
 * @example
 * const loss = mean(predictionLoss({ network, x0, noise, mixture: mixtureAt(tables, t), condition: t }));
 */
export function predictionLoss({
  network,
  x0,
  noise,
  mixture,
  condition,
  prediction = "eps",
  norm = "l2",
}: PredictionLossOptions): Sym {
  const output = network(addNoise(x0, noise, mixture), condition);
  return meanPerSample(elementError(output, tracedTarget(prediction, x0, noise, mixture), norm));
}
