/** Comparison of a tensor with its reference within the case's tolerance. */
import { toFloat64, type Tensor } from "nijimi/tensor";
import type { Comparison, Tolerance } from "./case.ts";
import { ruleFor } from "./tolerance.ts";

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
    return {
      name,
      error: Infinity,
      passed: false,
      message: `${got.length} values, expected ${expected.length}`,
    };
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
  return {
    name,
    error,
    passed: false,
    message: `at ${worst}: got ${got[worst]}, expected ${expected[worst]}`,
  };
}

/**
 * Compares tensors of any dtype by the case's rule for `name` (see `tolerance.ts`). Shapes must be equal;
 * where integers or booleans are expected, values must be equal too.
 *
 * @param tolerance the case's `tolerance` field as it is in the JSON
 */
export function compareTensors(
  name: string,
  got: Tensor,
  expected: Tensor,
  tolerance: unknown,
): Comparison {
  if (
    got.shape.length !== expected.shape.length ||
    got.shape.some((dim, i) => dim !== expected.shape[i])
  )
    return {
      name,
      error: Infinity,
      passed: false,
      message: `shape [${got.shape}], expected [${expected.shape}]`,
    };
  if (isInteger(expected)) return compareExactly(name, got, expected);
  const reference = toFloat64(expected);
  const values = toFloat64(got);
  const { atol, rtol, informative, outliers } = ruleFor(name, tolerance, maxAbs(reference));
  const comparison = compareNumbers(name, values, reference, { atol, rtol });
  if (informative) return { name, error: 0, passed: true };
  if (!comparison.passed || outliers === undefined) return comparison;
  const beyond = reference.reduce(
    (n, b, i) => n + (Math.abs(values[i] - b) > outliers.beyond ? 1 : 0),
    0,
  );
  if (beyond <= outliers.share * reference.length) return comparison;
  const message = `${beyond} of ${reference.length} values differ by more than ${outliers.beyond}`;
  return { ...comparison, passed: false, message };
}

function isInteger({ dtype }: Tensor): boolean {
  return dtype === "bool" || /^u?int/.test(dtype);
}

/** Equality without rounding, also beyond 2^53. */
function compareExactly(name: string, got: Tensor, expected: Tensor): Comparison {
  const values = isInteger(got) ? got.data : toFloat64(got);
  let error = 0;
  let first = -1;
  for (let i = 0; i < expected.data.length; i++) {
    // == compares a bigint with a number by value.
    // oxlint-disable-next-line eqeqeq
    if (values[i] == expected.data[i]) continue;
    if (first < 0) first = i;
    error = Math.max(error, Math.abs(Number(values[i]) - Number(expected.data[i])) || 1);
  }
  if (first < 0) return { name, error: 0, passed: true };
  return {
    name,
    error,
    passed: false,
    message: `at ${first}: got ${values[first]}, expected ${expected.data[first]}`,
  };
}

function maxAbs(values: Float64Array): number {
  return values.reduce((largest, value) => Math.max(largest, Math.abs(value)), 0);
}
