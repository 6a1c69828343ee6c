/**
 * Continuous time t ∈ [0, 1] by the log signal-to-noise ratio log(α²/σ²), variance-preserving
 * (Kingma et al. 2021, VDM, arXiv:2107.00630; Imagen in lucidrains' code; Salimans & Ho 2022,
 * arXiv:2202.00512).
 */
import { unknownName } from "../../errors.ts";
import { checkSteps } from "./check.ts";
import { linspace } from "./numbers.ts";

/** log-SNR of the linear-β process: −log(expm1(10⁻⁴ + 10·t²)). */
export function linearLogSnr(t: number): number {
  return -Math.log(Math.expm1(1e-4 + 10 * t * t));
}

/**
 * log-SNR of the cosine process: −log(max(cos⁻²((t + s)/(1 + s)·π/2) − 1, 10⁻⁵)).
 *
 * The cosine is taken in float32, as published: there it is −4.4·10⁻⁸ and not 6·10⁻¹⁷ at t = 1,
 * which ends the curve at −33.9 and decides how large x0 from pure noise can get.
 */
export function cosineLogSnr(t: number, s = 0.008): number {
  const f = Math.fround;
  const angle = f(f(f(f(t + s) / f(1 + s)) * f(Math.PI)) * 0.5);
  return -Math.log(Math.max(f(Math.cos(angle)) ** -2 - 1, 1e-5));
}

/** The curves by name. */
export const LOG_SNR_CURVES = {
  linear: linearLogSnr,
  cosine: (t: number) => cosineLogSnr(t),
} as const;
export type LogSnrCurveName = keyof typeof LOG_SNR_CURVES;

/** The curve of that name. */
export function logSnrCurve(name: LogSnrCurveName): (t: number) => number {
  if (!Object.hasOwn(LOG_SNR_CURVES, name))
    throw unknownName("log-SNR curve", String(name), Object.keys(LOG_SNR_CURVES));
  return LOG_SNR_CURVES[name];
}

/** α = √sigmoid(log-SNR), σ = √sigmoid(−log-SNR). */
export function alphaSigmaOfLogSnr(logSnr: number): {
  readonly alpha: number;
  readonly sigma: number;
} {
  return {
    alpha: Math.sqrt(1 / (1 + Math.exp(-logSnr))),
    sigma: Math.sqrt(1 / (1 + Math.exp(logSnr))),
  };
}

/**
 * log-SNR shifted for an image of `size` pixels a side whose noise should look like that of
 * `referenceSize` (Hoogeboom et al. 2023, arXiv:2301.11093).
 */
export function shiftLogSnr(
  logSnr: number,
  { size, referenceSize }: { readonly size: number; readonly referenceSize: number },
): number {
  return logSnr + 2 * Math.log(referenceSize / size);
}

/** Times of `steps` sampling steps as pairs (t, next t), from 1 to 0. */
export function samplingTimes(steps: number): readonly (readonly [t: number, next: number])[] {
  checkSteps("samplingTimes", steps);
  const times = linspace(1, 0, steps + 1);
  return Array.from({ length: steps }, (_, i) => [times[i], times[i + 1]] as const);
}

/**
 * q(x_s | x_t, x_0) for s < t (VDM, eq. 33): mean = coefXt·x_t + coefX0·x_0.
 *
 * c = 1 − SNR(t)/SNR(s); mean = α_s·(x_t·(1 − c)/α_t + c·x_0); variance = σ_s²·c.
 */
export function logSnrPosterior(
  logSnr: number,
  logSnrNext: number,
): {
  readonly coefXt: number;
  readonly coefX0: number;
  readonly variance: number;
  /** log of the variance, which is first raised to 10⁻²⁰ */
  readonly logVariance: number;
} {
  const now = alphaSigmaOfLogSnr(logSnr);
  const next = alphaSigmaOfLogSnr(logSnrNext);
  const c = -Math.expm1(logSnr - logSnrNext);
  const variance = next.sigma ** 2 * c;
  return {
    coefXt: (next.alpha * (1 - c)) / now.alpha,
    coefX0: next.alpha * c,
    variance,
    logVariance: Math.log(Math.max(variance, 1e-20)),
  };
}
