/**
 * The normal distribution in float64: cumulative distribution, its tanh approximation, and
 * quantiles.
 */

/** Abramowitz & Stegun 7.1.5/7.1.14: a series near 0, a continued fraction in the tail. */
export function erfc(x: number): number {
  if (x < 0) return 2 - erfc(-x);
  if (x < 2) return 1 - erfSeries(x);
  return Math.exp(-x * x) / Math.sqrt(Math.PI) / erfcFraction(x);
}

/** The Gauss error function. */
export function erf(x: number): number {
  return Math.abs(x) < 2 ? erfSeries(x) : 1 - erfc(x);
}

function erfSeries(x: number): number {
  let term = x;
  let sum = x;
  for (let n = 1; Math.abs(term) > 1e-17 * Math.abs(sum); n++) {
    term *= (2 * x * x) / (2 * n + 1); // 2ⁿx²ⁿ⁺¹/(2n+1)!!
    sum += term;
  }
  return (2 / Math.sqrt(Math.PI)) * Math.exp(-x * x) * sum;
}

/** x + (1/2)/(x + 1/(x + (3/2)/(x + 2/(x + …)))) */
function erfcFraction(x: number): number {
  let fraction = x;
  for (let k = 120; k >= 1; k--) fraction = x + k / 2 / fraction;
  return fraction;
}

/** Φ(x). */
export function normalCdf(x: number): number {
  return 0.5 * erfc(-x / Math.SQRT2);
}

/**
 * ½(1 + tanh(√(2/π)(x + 0.044715 x³))), the approximation in OpenAI's likelihoods.
 *
 * @param round applied after every operation: `Math.fround` gives float32's result
 */
export function tanhNormalCdf(x: number, round: (value: number) => number = Number): number {
  const cubic = round(x + round(round(0.044715) * round(x ** 3)));
  return round(0.5 * round(1 + round(Math.tanh(round(round(Math.sqrt(2 / Math.PI)) * cubic)))));
}

/**
 * Φ⁻¹(p): Acklam's rational approximation, then two Halley steps to full precision. ±∞ at 1 and 0.
 */
export function normalQuantile(p: number): number {
  if (p <= 0 || p >= 1) return p === 0 ? -Infinity : p === 1 ? Infinity : Number.NaN;
  if (p > 0.5) return -normalQuantile(1 - p); // the tail's density is exact below ½
  let x = acklam(p);
  for (let i = 0; i < 2; i++) {
    const u = (normalCdf(x) - p) * Math.sqrt(2 * Math.PI) * Math.exp((x * x) / 2);
    x -= u / (1 + (x * u) / 2);
  }
  return x;
}

const A = [
  -3.969683028665376e1, 2.209460984245205e2, -2.759285104469687e2, 1.38357751867269e2,
  -3.066479806614716e1, 2.506628277459239,
];
const B = [
  -5.447609879822406e1, 1.615858368580409e2, -1.556989798598866e2, 6.680131188771972e1,
  -1.328068155288572e1, 1,
];
const C = [
  -7.784894002430293e-3, -3.223964580411365e-1, -2.400758277161838, -2.549732539343734,
  4.374664141464968, 2.938163982698783,
];
const D = [7.784695709041462e-3, 3.224671290700398e-1, 2.445134137142996, 3.754408661907416, 1];

function acklam(p: number): number {
  const polynomial = (coefficients: readonly number[], x: number) =>
    coefficients.reduce((sum, c) => sum * x + c, 0);
  if (p < 0.02425) {
    const q = Math.sqrt(-2 * Math.log(p));
    return polynomial(C, q) / polynomial(D, q);
  }
  const q = p - 0.5;
  return (q * polynomial(A, q * q)) / polynomial(B, q * q);
}
