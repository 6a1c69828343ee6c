/**
 * Number sequences as numpy makes them, to the last bit: schedules are published as numpy code, and
 * which timestep a fraction rounds to depends on how the sequence was computed.
 */

/**
 * `count` numbers from `start` to `stop`, both included (numpy's `linspace`); `[start]` for a count
 * of 1.
 */
export function linspace(start: number, stop: number, count: number): Float64Array {
  const values = new Float64Array(count);
  if (count === 1) values[0] = start;
  if (count < 2) return values;
  const step = (stop - start) / (count - 1);
  for (let i = 0; i < count; i++) values[i] = start + i * step;
  values[count - 1] = stop;
  return values;
}

/** `start`, `start + step`, … up to but not including `stop` (numpy's `arange`). */
export function arange(start: number, stop: number, step = 1): Float64Array {
  const count = Math.max(0, Math.ceil((stop - start) / step));
  const delta = start + step - start; // numpy measures the step between the first two values
  return Float64Array.from({ length: count }, (_, i) => start + i * delta);
}

/**
 * Piecewise linear interpolation of `ys` over increasing `xs`, constant outside (numpy's `interp`).
 */
export function interpolate(x: number, xs: ArrayLike<number>, ys: ArrayLike<number>): number {
  const last = xs.length - 1;
  if (x <= xs[0]) return ys[0];
  if (x >= xs[last]) return ys[last];
  let low = 0;
  let high = last;
  while (high - low > 1) {
    const middle = (low + high) >> 1;
    if (xs[middle] <= x) low = middle;
    else high = middle;
  }
  return ys[low] + ((ys[high] - ys[low]) / (xs[high] - xs[low])) * (x - xs[low]);
}

/** `values` followed by a zero: the end of every schedule of noise levels. */
export function appendZero(values: ArrayLike<number>): Float64Array {
  const out = new Float64Array(values.length + 1);
  out.set(values);
  return out;
}
