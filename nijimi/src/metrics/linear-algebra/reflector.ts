/** Householder reflections I − τ v vᵀ (Golub & Van Loan § 5.1), made so that v's first element is 1. */

/** A reflection without its vector. */
export interface Reflector {
  /** 0 where there is nothing to reflect. */
  readonly tau: number;
  /** What the first element becomes; the others become 0. */
  readonly beta: number;
}

/** The reflection that sends x[start …start + length) to (beta, 0, …); its vector overwrites those elements. */
export function makeReflector(x: Float64Array, start: number, length: number): Reflector {
  const alpha = x[start];
  let tail = 0;
  for (let i = start + 1; i < start + length; i++) tail += x[i] * x[i];
  x[start] = 1;
  if (tail === 0) return { tau: 0, beta: alpha };
  const norm = Math.sqrt(alpha * alpha + tail);
  const beta = alpha > 0 ? -norm : norm;
  const scale = 1 / (alpha - beta);
  for (let i = start + 1; i < start + length; i++) x[i] *= scale;
  return { tau: (beta - alpha) / beta, beta };
}
