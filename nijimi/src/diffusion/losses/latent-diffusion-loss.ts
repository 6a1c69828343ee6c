/**
 * The loss of Latent Diffusion's code (Rombach et al. 2022, arXiv:2112.10752,
 * `LatentDiffusion.p_losses`): L = w_simple·mean(l_t/e^{s_t} + s_t) + w_elbo·mean(λ_t·l_t), l_t the
 * mean error of a sample, s_t a learned log-variance per timestep (0 in Stable Diffusion), λ_t the
 * weights of the variational bound.
 */
import { add, div, exp, gather, mean, mul } from "../../graph/ops.ts";
import type { Sym } from "../../graph/primitives.ts";
import { unknownName } from "../../errors.ts";
import { diffusionTables } from "../schedules/diffusion-tables.ts";
import { mixtureAt, predictionLoss, type PredictionLossOptions } from "./prediction-loss.ts";
import { lookUp } from "./traced.ts";

/** What {@link latentDiffusionLoss} adds to a prediction's loss. */
export interface LatentDiffusionLossOptions extends Omit<
  PredictionLossOptions,
  "mixture" | "condition" | "prediction"
> {
  readonly betas: ArrayLike<number>;
  /** Timesteps, int64 [B]. */
  readonly t: Sym;
  /** @default t */
  readonly condition?: Sym;
  /** @default "eps" */
  readonly prediction?: "eps" | "x0" | "v";
  /** Learned log-variance per timestep, [T]. @default 0 */
  readonly logVariance?: Sym;
  /** @default 1 */
  readonly simpleWeight?: number;
  /** `original_elbo_weight`. @default 0 */
  readonly elboWeight?: number;
  /** `v_posterior` of the bound's weights. @default 0 */
  readonly vPosterior?: number;
}

/** The loss and its parts, scalars. */
export interface LatentDiffusionLoss {
  readonly loss: Sym;
  /** mean of l_t */
  readonly simple: Sym;
  /** mean of λ_t·l_t */
  readonly bound: Sym;
}

/** The loss of a batch. */
export function latentDiffusionLoss({
  betas,
  t,
  condition = t,
  logVariance,
  simpleWeight = 1,
  elboWeight = 0,
  vPosterior = 0,
  ...options
}: LatentDiffusionLossOptions): LatentDiffusionLoss {
  const { prediction = "eps" } = options;
  const error = predictionLoss({
    ...options,
    mixture: mixtureAt(diffusionTables(betas), t),
    condition,
  });
  const s = logVariance && gather(logVariance, t);
  const scaled = s ? add(div(error, exp(s)), s) : error;
  const bound = mean(mul(lookUp(latentBoundWeights(betas, { prediction, vPosterior }), t), error));
  const loss = add(mul(mean(scaled), simpleWeight), mul(bound, elboWeight));
  return { loss, simple: mean(error), bound };
}

/**
 * λ_t as the code has them, `lvlb_weights`; the first is replaced by the second.
 *
 * - eps: β²/(2·σ̃²·α·(1 − ᾱ)) with σ̃² = (1 − v)·β̃ + v·β
 * - x0: ½·√ᾱ/(2·1 − ᾱ), whose denominator the code wrote without parentheses
 * - v: 1
 */
export function latentBoundWeights(
  betas: ArrayLike<number>,
  { prediction = "eps" as "eps" | "x0" | "v", vPosterior = 0 } = {},
): Float64Array {
  const tables = diffusionTables(betas);
  const weights = tables.betas.map((beta, t) => {
    const alphaBar = tables.alphasCumprod[t];
    const variance = (1 - vPosterior) * tables.posteriorVariance[t] + vPosterior * beta;
    switch (prediction) {
      case "eps":
        return beta ** 2 / (2 * variance * tables.alphas[t] * (1 - alphaBar));
      case "x0":
        return (0.5 * Math.sqrt(alphaBar)) / (2 - alphaBar);
      case "v":
        return 1;
      default:
        throw unknownName("prediction", String(prediction), ["eps", "x0", "v"]);
    }
  });
  if (weights.length > 1) weights[0] = weights[1];
  return weights;
}
