/**
 * The losses of Improved DDPM (Nichol & Dhariwal 2021, arXiv:2102.09672): L_vlb, and L_hybrid =
 * L_simple + λ·L_vlb, in which only the variance learns from the bound because its mean is held
 * constant.
 *
 * Per sample, one random timestep: the bound's term in bits per dimension, as in OpenAI's code. The
 * estimate of the whole bound is T times that. For the prediction that is compared with its target,
 * "previous-mean" is the code's `PREVIOUS_X`.
 */
import { NijimiError } from "../../errors.ts";
import {
  add,
  div,
  equal,
  exp,
  less,
  log,
  maximum,
  mul,
  neg,
  slice,
  square,
  stopGradient,
  sub,
  tanh,
  where,
} from "../../graph/ops.ts";
import type { Sym } from "../../graph/primitives.ts";
import type { PredictionType } from "../parameterisations/prediction.ts";
import { isLearned, type VarianceType } from "../parameterisations/variance.ts";
import type { DiffusionTables } from "../schedules/diffusion-tables.ts";
import { addNoise, mixtureAt, type TracedMixture, tracedTarget } from "./prediction-loss.ts";
import {
  alongBatch,
  elementError,
  lookUp,
  meanPerSample,
  scaleBatch,
  type TracedNetwork,
} from "./traced.ts";

/** Input of the losses of a discrete process. */
export interface VariationalLossOptions {
  readonly network: TracedNetwork;
  readonly tables: DiffusionTables;
  /** Data in [−1, 1], [B, C, …]. */
  readonly x0: Sym;
  /** Unit Gaussian noise of x0's shape. */
  readonly noise: Sym;
  /** Timesteps, int64 [B]. */
  readonly t: Sym;
  /** What the network is told. @default t */
  readonly condition?: Sym;
  /** @default "eps" */
  readonly prediction?: PredictionType | "previous-mean";
  /** @default "learned-range" */
  readonly variance?: VarianceType;
}

/** Losses per sample, [B] each. */
export interface HybridLoss {
  /** mse + weight·bound */
  readonly loss: Sym;
  /** L_simple: mean squared error of the prediction. */
  readonly mse: Sym;
  /** The bound's term at t in bits per dimension; absent with a fixed variance. */
  readonly bound?: Sym;
}

/**
 * L_hybrid; L_simple when the variance is fixed.
 *
 * @param options.boundWeight λ·T: factor of the bound's term. OpenAI's `RESCALED_MSE` has T/1000 (λ
 *   = 0.001), `MSE` has 1.
 * @default T/1000
 */
export function hybridLoss({
  boundWeight,
  ...options
}: VariationalLossOptions & { readonly boundWeight?: number }): HybridLoss {
  const { tables, x0, noise, t, prediction = "eps" } = options;
  const { mixture, xt, output, second } = askNetwork(options);
  const target =
    prediction === "previous-mean"
      ? posteriorMean(tables, t, x0, xt)
      : tracedTarget(prediction, x0, noise, mixture);
  const mse = meanPerSample(elementError(output, target));
  if (!second) return { loss: mse, mse };
  const bound = boundTerm(options, mixture, xt, stopGradient(output), second);
  return { loss: add(mse, mul(bound, boundWeight ?? tables.steps / 1000)), mse, bound };
}

/**
 * L_vlb: `scale` times the bound's term at t, per sample [B].
 *
 * @param options.scale OpenAI's `RESCALED_KL` has T, which estimates the whole bound; `KL` has 1.
 *   @default T
 */
export function variationalLoss({
  scale,
  ...options
}: VariationalLossOptions & { readonly scale?: number }): Sym {
  const { mixture, xt, output, second } = askNetwork(options);
  return mul(boundTerm(options, mixture, xt, output, second), scale ?? options.tables.steps);
}

/** The noised data, and what the network says of it. */
function askNetwork(options: VariationalLossOptions) {
  const { tables, x0, noise, t, condition = t, variance = "learned-range" } = options;
  const mixture = mixtureAt(tables, t);
  const xt = addNoise(x0, noise, mixture);
  const [output, second] = splitOutput(options.network(xt, condition), x0, isLearned(variance));
  return { mixture, xt, output, second };
}

/** The bound's term at t in bits per dimension: the decoder's at t = 0, the KL elsewhere. */
function boundTerm(
  { tables, x0, t, prediction = "eps", variance = "learned-range" }: VariationalLossOptions,
  mixture: TracedMixture,
  xt: Sym,
  output: Sym,
  second: Sym | undefined,
): Sym {
  const mean =
    prediction === "previous-mean"
      ? output
      : posteriorMean(tables, t, tracedX0(prediction, xt, output, mixture), xt);
  const logVariance = tracedLogVariance(tables, t, variance, second, x0);
  const trueLogVariance = alongBatch(lookUp(tables.posteriorLogVarianceClipped, t), x0);
  const kl = tracedNormalKl(posteriorMean(tables, t, x0, xt), trueLogVariance, mean, logVariance);
  const decoder = neg(tracedDiscretisedLogLikelihood(x0, mean, mul(logVariance, 0.5)));
  const bits = (nats: Sym) => div(meanPerSample(nats), Math.LN2);
  return where(equal(t, 0), bits(decoder), bits(kl));
}

/** c1(t)·x0 + c2(t)·x_t */
function posteriorMean(tables: DiffusionTables, t: Sym, x0: Sym, xt: Sym): Sym {
  return add(
    scaleBatch(lookUp(tables.posteriorMeanCoef1, t), x0),
    scaleBatch(lookUp(tables.posteriorMeanCoef2, t), xt),
  );
}

/** x0 from a prediction; see `parameterisations/prediction.ts` for the algebra. */
function tracedX0(type: PredictionType, x: Sym, output: Sym, { alpha, std }: TracedMixture): Sym {
  switch (type) {
    case "x0":
      return output;
    case "eps":
      return scaleBatch(div(1, alpha), sub(x, scaleBatch(std, output)));
    case "v":
      return sub(scaleBatch(alpha, x), scaleBatch(std, output));
    case "score":
      return scaleBatch(div(1, alpha), add(x, scaleBatch(square(std), output)));
    case "flow":
      return scaleBatch(div(1, add(alpha, std)), sub(x, scaleBatch(std, output)));
  }
}

function tracedLogVariance(
  tables: DiffusionTables,
  t: Sym,
  variance: VarianceType,
  second: Sym | undefined,
  like: Sym,
): Sym {
  const small = lookUp(tables.posteriorLogVarianceClipped, t);
  const large = lookUp(tables.betas.map(Math.log), t);
  if (variance === "fixed-small") return alongBatch(small, like);
  if (variance === "fixed-large") return alongBatch(where(equal(t, 0), small, large), like);
  if (second === undefined)
    throw new NijimiError(
      "shape",
      `A ${variance} variance needs a network with twice the channels.`,
    );
  if (variance === "learned") return second;
  const fraction = mul(add(second, 1), 0.5); // (v + 1)/2
  return add(scaleBatch(large, fraction), scaleBatch(small, sub(1, fraction)));
}

/** KL of two normals per element, in nats; `likelihood/gaussian-terms.ts` on the host. */
export function tracedNormalKl(mean1: Sym, logVariance1: Sym, mean2: Sym, logVariance2: Sym): Sym {
  const spread = add(sub(logVariance2, logVariance1), exp(sub(logVariance1, logVariance2)));
  const shift = mul(square(sub(mean1, mean2)), exp(neg(logVariance2)));
  return mul(add(sub(spread, 1), shift), 0.5);
}

/**
 * The decoder's log-likelihood of 8-bit values per element, in nats, with the tanh approximation.
 */
export function tracedDiscretisedLogLikelihood(x: Sym, mean: Sym, logScale: Sym): Sym {
  const centered = sub(x, mean);
  const inverse = exp(neg(logScale));
  const upper = approximateCdf(mul(inverse, add(centered, 1 / 255)));
  const lower = approximateCdf(mul(inverse, sub(centered, 1 / 255)));
  const safeLog = (p: Sym) => log(maximum(p, 1e-12));
  return where(
    less(x, -0.999),
    safeLog(upper),
    where(less(0.999, x), safeLog(sub(1, lower)), safeLog(sub(upper, lower))),
  );
}

/** ½(1 + tanh(√(2/π)(x + 0.044715x³))) */
function approximateCdf(x: Sym): Sym {
  const cubic = add(x, mul(mul(square(x), x), 0.044715));
  return mul(add(tanh(mul(cubic, Math.sqrt(2 / Math.PI))), 1), 0.5);
}

/** The mean's channels and, if learned, the variance's. */
function splitOutput(output: Sym, like: Sym, learned: boolean): readonly [Sym, Sym?] {
  const channels = like.shape[1];
  const given = output.shape[1];
  if (typeof channels !== "number" || typeof given !== "number")
    throw new NijimiError(
      "shape",
      "The number of channels must be fixed, to cut mean from variance.",
    );
  if (given === channels && !learned) return [output];
  if (given !== 2 * channels)
    throw new NijimiError(
      "shape",
      `The network gave ${given} channels; expected ${2 * channels}: mean and variance.`,
    );
  const first = slice(output, 1, 0, channels);
  return learned ? [first, slice(output, 1, channels, given)] : [first];
}
