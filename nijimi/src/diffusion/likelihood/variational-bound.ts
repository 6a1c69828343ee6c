/**
 * The variational bound of a discrete diffusion model in bits per dimension, term by term
 * (Ho et al. 2020, arXiv:2006.11239, eq. 5; Nichol & Dhariwal 2021, arXiv:2102.09672, section 2.2).
 */
import { NijimiError } from "../../errors.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import type { Network } from "../parameterisations/denoiser.ts";
import { diffusionTables, type DiffusionTables } from "../schedules/diffusion-tables.ts";
import {
  bitsPerElement,
  type DecoderOptions,
  discretisedLogLikelihood,
  normalKl,
} from "./gaussian-terms.ts";
import { reverseStep, type ReverseStepOptions } from "./reverse-step.ts";

/** Input of the bound. */
export interface VariationalBoundOptions extends ReverseStepOptions {
  /** Data in [−1, 1] made of 8-bit values: [B, C, …]. */
  readonly x0: Tensor<"float32">;
  readonly network: Network;
  /** Betas of the process, respaced ones included. */
  readonly betas: ArrayLike<number>;
  /** What the network is told for a timestep. @default the timestep */
  readonly condition?: (timestep: number) => number;
  /** Unit noise for timestep t, of x0's shape. Asked for T−1 first. */
  readonly noise: (shape: readonly number[], t: number) => Tensor<"float32">;
  readonly decoder?: DecoderOptions;
  readonly signal?: AbortSignal;
}

/** What timestep t contributes; every array has one number per sample. */
export interface BoundTerm {
  readonly t: number;
  /** The bound's term: the decoder's likelihood at t = 0, the KL elsewhere. Bits per dimension. */
  readonly bits: Float64Array;
  /** KL(q(x_{t−1}|x_t, x_0) ‖ p(x_{t−1}|x_t)). Bits per dimension. */
  readonly kl: Float64Array;
  /**
   * −log₂ p(x_0|x_t) with the discretised decoder. Bits per dimension; part of the bound only at t
   * = 0.
   */
  readonly decoder: Float64Array;
  /** Mean squared error of x0. */
  readonly x0Mse: Float64Array;
  /** Mean squared error of the noise. */
  readonly epsMse: Float64Array;
}

/** The bound and its parts; every array has one number per sample. */
export interface VariationalBound {
  /** prior + Σ terms: an upper bound of −log₂ p(x_0), bits per dimension. */
  readonly total: Float64Array;
  /** KL(q(x_T|x_0) ‖ N(0, 1)). */
  readonly prior: Float64Array;
  /** T−1 first. */
  readonly terms: readonly BoundTerm[];
}

/**
 * All terms from t = T−1 down to 0.
 *
 * @throws NijimiError `cancelled` when the signal fires
 */
export async function* variationalBoundTerms(
  options: VariationalBoundOptions,
): AsyncGenerator<BoundTerm, void, undefined> {
  const tables = diffusionTables(options.betas);
  for (let t = tables.steps - 1; t >= 0; t--) {
    if (options.signal?.aborted)
      throw new NijimiError("cancelled", `The variational bound was cancelled at timestep ${t}.`);
    yield await boundTerm(tables, t, options);
  }
}

/**
 * The whole bound.
 *
 * @example
 * const options = { variance: "learned-range", transform: clipX0() } as const;
 * const { total } = await variationalBound({ x0, betas, network, noise, ...options });
 */
export async function variationalBound(
  options: VariationalBoundOptions,
): Promise<VariationalBound> {
  const terms: BoundTerm[] = [];
  for await (const term of variationalBoundTerms(options)) terms.push(term);
  const prior = priorBits(options.x0, diffusionTables(options.betas));
  return {
    prior,
    terms,
    total: prior.map((bits, b) => terms.reduce((sum, term) => sum + term.bits[b], bits)),
  };
}

/** KL(q(x_T|x_0) ‖ N(0, 1)) in bits per dimension, one number per sample. */
export function priorBits(
  { shape, data }: Tensor<"float32">,
  { alphasCumprod, steps }: DiffusionTables,
): Float64Array {
  const alphaBar = alphasCumprod[steps - 1];
  const logVariance = Math.log(1 - alphaBar);
  return bitsPerElement(shape[0], data.length, (i) =>
    normalKl(Math.sqrt(alphaBar) * data[i], logVariance, 0, 0),
  );
}

async function boundTerm(
  tables: DiffusionTables,
  t: number,
  options: VariationalBoundOptions,
): Promise<BoundTerm> {
  const { x0, network, noise, condition = (timestep) => timestep, signal } = options;
  const { data, shape } = x0;
  const z = noise(shape, t).data;
  const alpha = Math.sqrt(tables.alphasCumprod[t]);
  const std = Math.sqrt(1 - tables.alphasCumprod[t]);
  const xt: Tensor<"float32"> = { ...x0, data: data.map((value, i) => alpha * value + std * z[i]) };
  const output = await network(xt, condition(t), { step: tables.steps - 1 - t, signal });
  const p = reverseStep(tables, t, xt, output, options);
  const c1 = tables.posteriorMeanCoef1[t];
  const c2 = tables.posteriorMeanCoef2[t];
  const trueLogVariance = tables.posteriorLogVarianceClipped[t];
  const perSample = (nats: (i: number) => number) => bitsPerElement(shape[0], data.length, nats);
  const kl = perSample((i) =>
    normalKl(c1 * data[i] + c2 * xt.data[i], trueLogVariance, p.mean[i], p.logVariance[i]),
  );
  const decoder = perSample(
    (i) => -discretisedLogLikelihood(data[i], p.mean[i], 0.5 * p.logVariance[i], options.decoder),
  );
  return {
    t,
    bits: t === 0 ? decoder : kl,
    kl,
    decoder,
    x0Mse: perSample((i) => Math.LN2 * (p.x0[i] - data[i]) ** 2),
    epsMse: perSample((i) => Math.LN2 * (p.eps[i] - z[i]) ** 2),
  };
}
