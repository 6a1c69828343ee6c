/**
 * The two kinds of term of a diffusion model's variational bound (Ho et al. 2020, arXiv:2006.11239,
 * eq. 5 and 13), in nats, for one element.
 */
import { normalCdf, tanhNormalCdf } from "./normal-distribution.ts";

/** KL(N(mean1, e^{logVariance1}) ‖ N(mean2, e^{logVariance2})). */
export function normalKl(
  mean1: number,
  logVariance1: number,
  mean2: number,
  logVariance2: number,
): number {
  const difference = (mean1 - mean2) ** 2;
  return (
    0.5 *
    (-1 +
      logVariance2 -
      logVariance1 +
      Math.exp(logVariance1 - logVariance2) +
      difference * Math.exp(-logVariance2))
  );
}

/** How the decoder's probabilities are computed. */
export interface DecoderOptions {
  /**
   * The exact normal distribution function, or the approximation of OpenAI's code. @default "tanh"
   */
  readonly cdf?: "erf" | "tanh";
  /**
   * "float32" rounds after every operation, as the published code does: in the tails, below about
   * e⁻¹⁴, its values are those of the rounding. @default "float64"
   */
  readonly precision?: "float32" | "float64";
}

/**
 * log P(x) of an 8-bit value x ∈ {−1, −253/255, …, 1} under a normal distribution cut into bins of
 * width 2/255; the outermost bins reach to ±∞ (eq. 13). Probabilities are raised to 10⁻¹².
 */
export function discretisedLogLikelihood(
  x: number,
  mean: number,
  logScale: number,
  { cdf = "tanh", precision = "float64" }: DecoderOptions = {},
): number {
  const r = precision === "float32" ? Math.fround : exactly;
  const phi = (z: number) => r(cdf === "tanh" ? tanhNormalCdf(z, r) : normalCdf(z));
  const centered = r(x - mean);
  const inverse = r(Math.exp(-logScale));
  const upper = phi(r(inverse * r(centered + 1 / 255)));
  const lower = phi(r(inverse * r(centered - 1 / 255)));
  const probability = x < -0.999 ? upper : x > 0.999 ? r(1 - lower) : r(upper - lower);
  return Math.log(Math.max(probability, 1e-12));
}

function exactly(value: number): number {
  return value;
}

/** Mean over the elements of each sample of the first axis, in bits: Σ/(n·ln 2). */
export function bitsPerElement(
  batch: number,
  count: number,
  nats: (index: number) => number,
): Float64Array {
  const size = count / batch;
  return Float64Array.from({ length: batch }, (_, b) => {
    let sum = 0;
    for (let i = b * size; i < (b + 1) * size; i++) sum += nats(i);
    return sum / size / Math.LN2;
  });
}
