/**
 * Denoising score matching (Vincent 2011; Song & Ermon 2019, arXiv:1907.05600, eq. 5–6; Song et al.
 * 2021, arXiv:2011.13456, eq. 7). The score of q(x|x0) = N(α·x0, σ²) at x = α·x0 + σ·z is −z/σ, so
 * that λ·‖score + z/σ‖² is the loss, with
 *
 * - λ = σ² (`"variance"`): every noise level weighs the same;
 * - λ = g(t)² (`"likelihood"`): a bound of the likelihood (Song et al. 2021, arXiv:2101.09258), for
 *   SDEs.
 */
import { add, div, mul, pow, square } from "../../graph/ops.ts";
import type { Sym } from "../../graph/primitives.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { float32 } from "../../tensor/tensor.ts";
import type { Sde } from "../schedules/sde.ts";
import { addNoise, type TracedMixture } from "./prediction-loss.ts";
import { meanPerSample, scaleBatch, sumPerSample, type TracedNetwork } from "./traced.ts";

/** Input of {@link scoreMatchingLoss}. */
export interface ScoreMatchingOptions {
  /** Gives the score. */
  readonly network: TracedNetwork;
  readonly x0: Sym;
  /** Unit Gaussian noise of x0's shape. */
  readonly noise: Sym;
  /** α and σ of every sample, float32 [B]. */
  readonly mixture: TracedMixture;
  /** What the network is told: [B]. */
  readonly condition: Sym;
  /** λ/σ² of every sample, float32 [B]; see {@link sdeBatch}. @default 1: λ = σ² */
  readonly weight?: Sym;
  /** "half-sum" is ½Σ over the elements (the papers), "mean" their mean. @default "half-sum" */
  readonly reduce?: "half-sum" | "mean";
}

/** λ·‖score + z/σ‖² per sample, written as (λ/σ²)·‖σ·score + z‖²: [B]. */
export function scoreMatchingLoss({
  network,
  x0,
  noise,
  mixture,
  condition,
  weight,
  reduce = "half-sum",
}: ScoreMatchingOptions): Sym {
  const score = network(addNoise(x0, noise, mixture), condition);
  const error = square(add(scaleBatch(mixture.std, score), noise));
  const loss = reduce === "mean" ? meanPerSample(error) : mul(sumPerSample(error), 0.5);
  return weight === undefined ? loss : mul(weight, loss);
}

/**
 * NCSN's annealed loss: ½·σ^power·Σ(score + z/σ)² per sample [B], with α = 1.
 *
 * @param options.sigma noise level of every sample, float32 [B]
 * @param options.power `anneal_power` of the code @default 2
 */
export function annealedScoreLoss({
  network,
  x0,
  noise,
  sigma,
  condition,
  power = 2,
}: {
  readonly network: TracedNetwork;
  readonly x0: Sym;
  readonly noise: Sym;
  readonly sigma: Sym;
  readonly condition: Sym;
  readonly power?: number;
}): Sym {
  const score = network(add(x0, scaleBatch(sigma, noise)), condition);
  const error = sumPerSample(square(add(score, scaleBatch(div(1, sigma), noise))));
  return mul(mul(error, 0.5), pow(sigma, power));
}

/**
 * What a trace of a continuous SDE needs for the times of a batch, made on the host in float64: [B]
 * each.
 */
export interface SdeBatch {
  readonly alpha: Tensor<"float32">;
  readonly std: Tensor<"float32">;
  /** g(t)²/σ(t)², the `weight` that makes λ = g². */
  readonly likelihoodWeight: Tensor<"float32">;
}

/** α, σ and the likelihood's weights at the given times. */
export function sdeBatch(sde: Sde, times: ArrayLike<number>): SdeBatch {
  const column = (value: (t: number) => number) =>
    float32([times.length], Float64Array.from(times, value));
  return {
    alpha: column((t) => sde.marginal(t).alpha),
    std: column((t) => sde.marginal(t).sigma),
    likelihoodWeight: column((t) => (sde.at(t).diffusion / sde.marginal(t).sigma) ** 2),
  };
}
