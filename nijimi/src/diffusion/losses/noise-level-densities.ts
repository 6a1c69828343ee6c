/**
 * Distributions of training noise levels by their quantile functions: u ∈ (0, 1) → σ. Feed them
 * uniform random numbers, or stratified ones (`stratify`), which k-diffusion does
 * (`rand_log_normal` and its relatives).
 */
import { normalQuantile } from "../likelihood/normal-distribution.ts";
import { checkNumber, checkSigmaRange } from "../schedules/check.ts";

/** A quantile function of noise levels. */
export type NoiseLevelDensity = (u: number) => number;

interface Range {
  /** @default 0 */
  readonly min?: number;
  /** @default Infinity */
  readonly max?: number;
}

/**
 * ln σ ~ N(mean, std²): EDM's training distribution (Karras et al. 2022, arXiv:2206.00364, table
 * 1).
 *
 * @param options @default mean −1.2, std 1.2
 */
export function logNormalDensity({ mean = -1.2, std = 1.2 } = {}): NoiseLevelDensity {
  checkNumber("logNormalDensity", "std", std, { above: 0 });
  return (u) => Math.exp(mean + std * normalQuantile(u));
}

/** ln σ logistic, truncated to [min, max]. */
export function logLogisticDensity({
  mean = 0,
  scale = 1,
  min = 0,
  max = Infinity,
}: Range & { readonly mean?: number; readonly scale?: number } = {}): NoiseLevelDensity {
  checkNumber("logLogisticDensity", "scale", scale, { above: 0 });
  const cdf = (sigma: number) => 1 / (1 + Math.exp(-(Math.log(sigma) - mean) / scale));
  const [low, high] = [cdf(min), cdf(max)];
  return (u) => {
    const p = low + u * (high - low);
    return Math.exp(mean + scale * Math.log(p / (1 - p)));
  };
}

/** ln σ uniform between min and max. */
export function logUniformDensity({ min, max }: Required<Range>): NoiseLevelDensity {
  checkSigmaRange("logUniformDensity", min, max);
  return (u) => Math.exp(Math.log(min) + u * Math.log(max / min));
}

/**
 * The levels that uniform time of the cosine process visits, σ = σ_data·tan(u·π/2), truncated to
 * [min, max].
 */
export function vDiffusionDensity({
  sigmaData = 1,
  min = 0,
  max = Infinity,
}: Range & { readonly sigmaData?: number } = {}): NoiseLevelDensity {
  const angle = (sigma: number) => Math.atan(sigma / sigmaData);
  return (u) => sigmaData * Math.tan(angle(min) + u * (angle(max) - angle(min)));
}

/**
 * Cosine log-SNR shifted for resolution and interpolated from the shift for `noiseLow` pixels
 * (clean) to that for `noiseHigh` (noisy) (Hoogeboom et al. 2023, simple diffusion,
 * arXiv:2301.11093, section 2.1).
 */
export function cosineInterpolatedDensity({
  imageSize,
  noiseLow,
  noiseHigh,
  sigmaData = 1,
  min = 1e-3,
  max = 1e3,
}: {
  readonly imageSize: number;
  readonly noiseLow: number;
  readonly noiseHigh: number;
  readonly sigmaData?: number;
  readonly min?: number;
  readonly max?: number;
}): NoiseLevelDensity {
  checkSigmaRange("cosineInterpolatedDensity", min, max);
  const shifted = (u: number, noiseSize: number) => {
    const shift = 2 * Math.log(noiseSize / imageSize);
    const angle = (sigma: number) => Math.atan((sigma / sigmaData) * Math.exp(shift / 2));
    const [first, last] = [angle(max), angle(min)];
    return -2 * Math.log(Math.tan(first + u * (last - first))) + shift;
  };
  return (u) => {
    const [low, high] = [shifted(u, noiseLow), shifted(u, noiseHigh)];
    return sigmaData * Math.exp(-(low + u * (high - low)) / 2);
  };
}

/**
 * ln σ with two half-normal sides: below the mode with `stdLow`, above with `stdHigh`, continuous
 * at the mode. One normal and one uniform draw give a level, so that this is no quantile function.
 */
export function splitLogNormal(
  normal: number,
  u: number,
  { mode = 0, stdLow = 1, stdHigh = 1 } = {},
): number {
  const below = u < stdLow / (stdLow + stdHigh);
  return Math.exp(mode + Math.abs(normal) * (below ? -stdLow : stdHigh));
}

/**
 * σ = sigmoid(mean + std·z) of rectified flow (Esser et al. 2024, Stable Diffusion 3,
 * arXiv:2403.03206, eq. 19).
 */
export function logitNormalDensity({ mean = 0, std = 1 } = {}): NoiseLevelDensity {
  return (u) => 1 / (1 + Math.exp(-(mean + std * normalQuantile(u))));
}

/**
 * Stable Diffusion 3's "mode" sampling, eq. 20: 1 − u − s·(cos²(π·u/2) − 1 + u). @param
 * options.scale @default 1.29
 */
export function modeDensity({ scale = 1.29 } = {}): NoiseLevelDensity {
  return (u) => 1 - u - scale * (Math.cos((Math.PI * u) / 2) ** 2 - 1 + u);
}
