/**
 * Exact likelihoods through the probability-flow ODE (Song et al. 2021, arXiv:2011.13456, section
 * 4.3 and appendix D.2): the log-density changes along the flow by the divergence of its drift,
 * estimated as vᵀJv with a random v of unit covariance (Skilling–Hutchinson; Grathwohl et al. 2019,
 * arXiv:1810.01367).
 */
import type { Tensor } from "../../tensor/tensor.ts";
import { priorLogDensity, type Sde } from "../schedules/sde.ts";
import { checkSigmaRange } from "../schedules/check.ts";
import { integrate, type IntegrateOptions } from "./runge-kutta.ts";

type F32 = Tensor<"float32">;

/**
 * A function of x with its vector–Jacobian product.
 *
 * @param x state [B, …]
 * @param level time or noise level
 * @param v random vector of x's shape
 * @returns the value, and vᵀ·∂value/∂x, both of x's shape
 */
export type WithVjp = (
  x: F32,
  level: number,
  v: F32,
) => Promise<{ value: F32; vjp: F32 }> | { value: F32; vjp: F32 };

/** Result of a likelihood computation; arrays have one number per sample. */
export interface FlowLikelihood {
  /** log p(x) in nats. */
  readonly logLikelihood: Float64Array;
  /** The state at the noisy end. */
  readonly latent: F32;
  readonly evaluations: number;
}

/**
 * log p(x) under the flow of an SDE whose score is known: dx/dt = f·x − ½g²·score, from t =
 * `epsilon` to 1.
 *
 * @param options `score`: ∇ log p_t(x) at time t; `v`: ±1 or unit Gaussian noise; `epsilon`
 *   @default 1e-5
 */
export async function sdeLogLikelihood({
  sde,
  score,
  x,
  v,
  epsilon = 1e-5,
  ...options
}: {
  readonly sde: Sde;
  readonly score: WithVjp;
  readonly x: F32;
  readonly v: F32;
  readonly epsilon?: number;
} & IntegrateOptions): Promise<FlowLikelihood> {
  return flowLikelihood(
    { x, v, from: epsilon, to: 1, priorStd: sde.priorStd, options },
    async (state, t) => {
      const { drift, diffusion } = sde.at(t);
      const { value, vjp } = await score(state, t, v);
      const half = 0.5 * diffusion ** 2;
      return {
        drift: (i) => drift * state.data[i] - half * value.data[i],
        vjp: (i) => drift * v.data[i] - half * vjp.data[i],
      };
    },
  );
}

/**
 * log p(x) under the flow of a denoiser in the variance-exploding form: dx/dσ = (x − D(x, σ))/σ
 * from σ_min to σ_max (Karras et al. 2022, arXiv:2206.00364, eq. 3; k-diffusion's
 * `log_likelihood`).
 */
export async function denoiserLogLikelihood({
  denoise,
  x,
  v,
  sigmaMin,
  sigmaMax,
  ...options
}: {
  readonly denoise: WithVjp;
  readonly x: F32;
  readonly v: F32;
  readonly sigmaMin: number;
  readonly sigmaMax: number;
} & IntegrateOptions): Promise<FlowLikelihood> {
  checkSigmaRange("denoiserLogLikelihood", sigmaMin, sigmaMax);
  return flowLikelihood(
    { x, v, from: sigmaMin, to: sigmaMax, priorStd: sigmaMax, options },
    async (state, sigma) => {
      const { value, vjp } = await denoise(state, sigma, v);
      return {
        drift: (i) => (state.data[i] - value.data[i]) / sigma,
        vjp: (i) => (v.data[i] - vjp.data[i]) / sigma,
      };
    },
  );
}

/**
 * Bits per dimension of 8-bit data from its log-density on [−1, 1] (`dataRange` 2) or [0, 1] (1):
 * −log₂ p/n + log₂(256/range), the volume of one value's bin.
 */
export function bitsPerDimension(
  logLikelihood: number,
  dimensions: number,
  { dataRange = 2 } = {},
): number {
  return -logLikelihood / Math.LN2 / dimensions + Math.log2(256 / dataRange);
}

interface Flow {
  readonly drift: (i: number) => number;
  readonly vjp: (i: number) => number;
}

interface FlowInput {
  readonly x: F32;
  readonly v: F32;
  readonly from: number;
  readonly to: number;
  readonly priorStd: number;
  readonly options: IntegrateOptions;
}

/** Integrates the state and, behind it, the log-density of every sample. */
async function flowLikelihood(
  { x, v, from, to, priorStd, options }: FlowInput,
  flow: (state: F32, level: number) => Promise<Flow>,
): Promise<FlowLikelihood> {
  const count = x.data.length;
  const batch = x.shape[0];
  const size = count / batch;
  const stateOf = (y: Float64Array): F32 => ({
    ...x,
    data: Float32Array.from(y.subarray(0, count)),
  });
  const start = new Float64Array(count + batch);
  start.set(x.data);
  const { y, evaluations } = await integrate(
    async (level, current) => {
      const { drift, vjp } = await flow(stateOf(current), level);
      const slope = new Float64Array(count + batch);
      for (let i = 0; i < count; i++) {
        slope[i] = drift(i);
        slope[count + Math.floor(i / size)] += vjp(i) * v.data[i]; // vᵀJv
      }
      return slope;
    },
    from,
    to,
    start,
    options,
  );
  const latent = stateOf(y);
  return {
    latent,
    evaluations,
    logLikelihood: y
      .slice(count)
      .map(
        (change, b) =>
          change + priorLogDensity({ priorStd }, latent.data.subarray(b * size, (b + 1) * size)),
      ),
  };
}
