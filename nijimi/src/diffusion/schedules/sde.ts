/**
 * The stochastic differential equations of Song et al. 2021, "Score-Based Generative Modeling
 * through Stochastic Differential Equations" (arXiv:2011.13456, section 3.4 and appendix B–C): dx =
 * f(t)·x dt + g(t) dw on t ∈ [0, 1], with q(x_t|x_0) = N(α(t)·x_0, σ(t)²). All three have a drift
 * linear in x, so numbers are enough to describe them.
 */
import { checkNumber, checkSigmaRange, checkSteps } from "./check.ts";
import { linspace } from "./numbers.ts";
import { geometricSigmas } from "./sigmas-geometric.ts";

/** Coefficients of one step x_{i+1} = x_i + drift·x_i + diffusion·z. */
export interface SdeCoefficients {
  readonly drift: number;
  readonly diffusion: number;
}

/** A linear SDE by its coefficients. */
export interface Sde {
  readonly kind: "vp" | "subvp" | "ve";
  /** Number of steps N of its discretisation. */
  readonly steps: number;
  /** Standard deviation of the prior, the distribution at t = 1. */
  readonly priorStd: number;
  /** f(t) and g(t). */
  readonly at: (t: number) => SdeCoefficients;
  /** α(t), the factor of x_0 in the mean, and the standard deviation σ(t). */
  readonly marginal: (t: number) => { readonly alpha: number; readonly sigma: number };
  /** Step of the Markov chain that the SDE is the limit of, of length 1/N. */
  readonly discretise: (t: number) => SdeCoefficients;
}

/** Options of the two variance-preserving equations. */
export interface VpSdeOptions {
  /** β(0). @default 0.1 */
  readonly betaMin?: number;
  /** β(1). @default 20 */
  readonly betaMax?: number;
  /** @default 1000 */
  readonly steps?: number;
}

/** Variance preserving, the limit of DDPM: f = −β/2, g = √β, α = exp(−∫β/2), σ² = 1 − α². */
export function vpSde({ betaMin = 0.1, betaMax = 20, steps = 1000 }: VpSdeOptions = {}): Sde {
  checkVp("vpSde", betaMin, betaMax, steps);
  const beta = (t: number) => betaMin + t * (betaMax - betaMin);
  const betas = vpDiscreteBetas({ betaMin, betaMax, steps });
  return Object.freeze<Sde>({
    kind: "vp",
    steps,
    priorStd: 1,
    at: (t) => ({ drift: -0.5 * beta(t), diffusion: Math.sqrt(beta(t)) }),
    marginal: (t) => {
      const logAlpha = vpLogAlpha(t, betaMin, betaMax);
      return { alpha: Math.exp(logAlpha), sigma: Math.sqrt(-Math.expm1(2 * logAlpha)) };
    },
    discretise: (t) => {
      const b = betas[Math.trunc(t * (steps - 1))];
      return { drift: Math.sqrt(1 - b) - 1, diffusion: Math.sqrt(b) };
    },
  });
}

/** Sub-VP: the same mean with a smaller variance, σ = 1 − α², g² = β·(1 − exp(−2∫β)). */
export function subVpSde({ betaMin = 0.1, betaMax = 20, steps = 1000 }: VpSdeOptions = {}): Sde {
  checkVp("subVpSde", betaMin, betaMax, steps);
  const at = (t: number): SdeCoefficients => {
    const beta = betaMin + t * (betaMax - betaMin);
    const discount = -Math.expm1(4 * vpLogAlpha(t, betaMin, betaMax));
    return { drift: -0.5 * beta, diffusion: Math.sqrt(beta * discount) };
  };
  return Object.freeze<Sde>({
    kind: "subvp",
    steps,
    priorStd: 1,
    at,
    marginal: (t) => {
      const logAlpha = vpLogAlpha(t, betaMin, betaMax);
      return { alpha: Math.exp(logAlpha), sigma: -Math.expm1(2 * logAlpha) };
    },
    discretise: (t) => {
      const { drift, diffusion } = at(t);
      return { drift: drift / steps, diffusion: diffusion * Math.sqrt(1 / steps) };
    },
  });
}

/** Variance exploding, the limit of NCSN: f = 0, σ(t) = σ_min·(σ_max/σ_min)^t. */
export function veSde({
  sigmaMin = 0.01,
  sigmaMax = 50,
  steps = 1000,
}: { readonly sigmaMin?: number; readonly sigmaMax?: number; readonly steps?: number } = {}): Sde {
  checkSigmaRange("veSde", sigmaMin, sigmaMax);
  checkSteps("veSde", steps);
  const logRatio = Math.log(sigmaMax / sigmaMin);
  const sigma = (t: number) => sigmaMin * Math.exp(logRatio * t);
  const sigmas = geometricSigmas(steps, { sigmaMin, sigmaMax }).reverse();
  return Object.freeze<Sde>({
    kind: "ve",
    steps,
    priorStd: sigmaMax,
    at: (t) => ({ drift: 0, diffusion: sigma(t) * Math.sqrt(2 * logRatio) }),
    marginal: (t) => ({ alpha: 1, sigma: sigma(t) }),
    discretise: (t) => {
      const i = Math.trunc(t * (steps - 1));
      const previous = i === 0 ? 0 : sigmas[i - 1];
      return { drift: 0, diffusion: Math.sqrt(sigmas[i] ** 2 - previous ** 2) };
    },
  });
}

/** The betas of the VP equation's Markov chain: a line from β_min/N to β_max/N. */
export function vpDiscreteBetas({
  betaMin = 0.1,
  betaMax = 20,
  steps = 1000,
}: VpSdeOptions = {}): Float64Array {
  return linspace(betaMin / steps, betaMax / steps, steps);
}

/** log N(z; 0, priorStd²) of one sample. */
export function priorLogDensity({ priorStd }: Pick<Sde, "priorStd">, z: ArrayLike<number>): number {
  let squares = 0;
  for (let i = 0; i < z.length; i++) squares += z[i] * z[i];
  return -0.5 * (z.length * Math.log(2 * Math.PI * priorStd ** 2) + squares / priorStd ** 2);
}

/** log α = −½∫β = −t²(β_max − β_min)/4 − t·β_min/2. */
function vpLogAlpha(t: number, betaMin: number, betaMax: number): number {
  return -0.25 * t * t * (betaMax - betaMin) - 0.5 * t * betaMin;
}

function checkVp(where: string, betaMin: number, betaMax: number, steps: number): void {
  checkNumber(where, "betaMin", betaMin, { above: 0 });
  checkNumber(where, "betaMax", betaMax, { above: 0 });
  checkSteps(where, steps);
}
