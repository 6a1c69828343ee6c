/** Comparison of a tensor with its reference within the case's tolerance. */
import type { Tensor } from "nijimi/tensor";
import type { Comparison, Tolerance } from "./case.ts";

/** Numbers of a tensor as float64 (half types converted). */
export type ToFloat64 = (tensor: Tensor) => Float64Array;

/**
 * Compares `got` with `expected`: |got − expected| ≤ atol + rtol·|expected| for floats, exactly for integers.
 * NaN equals NaN, an infinity equals itself.
 */
export function compareNumbers(
  name: string,
  got: ArrayLike<number>,
  expected: ArrayLike<number>,
  { atol = 0, rtol = 0 }: Tolerance,
): Comparison {
  if (got.length !== expected.length)
    return { name, error: Infinity, passed: false, message: `${got.length} values, expected ${expected.length}` };
  let error = 0;
  let worst = -1;
  let worstExcess = 0;
  for (let i = 0; i < expected.length; i++) {
    const a = got[i];
    const b = expected[i];
    if (Object.is(a, b) || a === b) continue;
    const difference = Number.isNaN(a) || Number.isNaN(b) ? Infinity : Math.abs(a - b);
    error = Math.max(error, difference);
    const excess = difference - (atol + rtol * Math.abs(b));
    if (excess > worstExcess || (excess > 0 && worst < 0)) {
      worstExcess = excess;
      worst = i;
    }
  }
  if (worst < 0) return { name, error, passed: true };
  return { name, error, passed: false, message: `at ${worst}: got ${got[worst]}, expected ${expected[worst]}` };
}
