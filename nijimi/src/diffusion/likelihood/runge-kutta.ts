/**
 * Dormand & Prince's fifth-order Runge–Kutta method with an error estimate of fourth order and
 * adaptive steps; step control as in scipy's `RK45` (Hairer, Nørsett & Wanner, "Solving ODEs I",
 * sections II.4–II.5).
 */
import { NijimiError } from "../../errors.ts";

/** dy/dt; may be asynchronous, as a network is. Must not keep or change `y`. */
export type Derivative = (t: number, y: Float64Array) => Float64Array | Promise<Float64Array>;

/** Options of {@link integrate}. */
export interface IntegrateOptions {
  /** Relative tolerance. @default 1e-5 */
  readonly rtol?: number;
  /** Absolute tolerance. @default 1e-5 */
  readonly atol?: number;
  /** Refuse after that many evaluations. @default 100000 */
  readonly maxEvaluations?: number;
  readonly signal?: AbortSignal;
}

/** y at the end, and what it took. */
export interface Integral {
  readonly y: Float64Array;
  readonly evaluations: number;
}

const NODES = [0, 1 / 5, 3 / 10, 4 / 5, 8 / 9, 1];
const STAGES = [
  [],
  [1 / 5],
  [3 / 40, 9 / 40],
  [44 / 45, -56 / 15, 32 / 9],
  [19372 / 6561, -25360 / 2187, 64448 / 6561, -212 / 729],
  [9017 / 3168, -355 / 33, 46732 / 5247, 49 / 176, -5103 / 18656],
];
const WEIGHTS = [35 / 384, 0, 500 / 1113, 125 / 192, -2187 / 6784, 11 / 84];
const ERROR_WEIGHTS = [-71 / 57600, 0, 71 / 16695, -71 / 1920, 17253 / 339200, -22 / 525, 1 / 40];

/**
 * y(tEnd) from y(tStart), in either direction.
 *
 * @example
 * const { y } = await integrate((t, y) => y.map((v) => -v), 0, 1, Float64Array.of(1)); // e⁻¹
 */
export async function integrate(
  derivative: Derivative,
  tStart: number,
  tEnd: number,
  start: Float64Array,
  { rtol = 1e-5, atol = 1e-5, maxEvaluations = 100_000, signal }: IntegrateOptions = {},
): Promise<Integral> {
  if (!(rtol > 0) || !(atol >= 0))
    throw new NijimiError(
      "option",
      `integrate: rtol must be > 0 and atol ≥ 0; got ${rtol}, ${atol}.`,
    );
  let evaluations = 0;
  const f: Derivative = (t, y) => {
    if (signal?.aborted)
      throw new NijimiError("cancelled", `The integration was cancelled at ${t}.`);
    evaluations += 1;
    if (evaluations > maxEvaluations)
      throw new NijimiError(
        "numeric",
        `integrate: no end after ${maxEvaluations} evaluations, at ${t}; loosen the tolerances.`,
      );
    return derivative(t, y);
  };
  const direction = Math.sign(tEnd - tStart);
  let t = tStart;
  let y = start;
  let k0 = await f(t, y);
  let size = await firstStep(f, t, y, k0, direction, Math.abs(tEnd - tStart), rtol, atol);
  let rejected = false;
  while (direction * (tEnd - t) > 0) {
    const smallest = 10 * Math.abs(t) * Number.EPSILON;
    if (size < smallest)
      throw new NijimiError(
        "numeric",
        `integrate: the step fell below ${smallest} at ${t}; the equation is too stiff or not finite.`,
      );
    const next = direction * (t + direction * size - tEnd) > 0 ? tEnd : t + direction * size;
    const h = next - t;
    const { y: candidate, stages } = await step(f, t, y, k0, h);
    const error = errorNorm(y, candidate, stages, h, rtol, atol);
    if (error < 1) {
      const growth = error === 0 ? 10 : Math.min(10, 0.9 * error ** -0.2);
      size = Math.abs(h) * (rejected ? Math.min(1, growth) : growth);
      t = next;
      y = candidate;
      k0 = stages[6];
      rejected = false;
    } else {
      size = Math.abs(h) * (Number.isFinite(error) ? Math.max(0.2, 0.9 * error ** -0.2) : 0.2);
      rejected = true;
    }
  }
  return { y, evaluations };
}

/**
 * One step of size h: the fifth-order solution, and the seven slopes of which the last is at its
 * end.
 */
async function step(f: Derivative, t: number, y: Float64Array, k0: Float64Array, h: number) {
  const stages = [k0];
  for (let s = 1; s < STAGES.length; s++)
    stages.push(await f(t + NODES[s] * h, advance(y, stages, STAGES[s], h)));
  const candidate = advance(y, stages, WEIGHTS, h);
  stages.push(await f(t + h, candidate));
  return { y: candidate, stages };
}

/** y + h·Σ weight·slope */
function advance(
  y: Float64Array,
  slopes: readonly Float64Array[],
  weights: readonly number[],
  h: number,
): Float64Array {
  return y.map(
    (value, i) => value + h * weights.reduce((sum, weight, s) => sum + weight * slopes[s][i], 0),
  );
}

/** Root mean square of the error estimate in units of atol + rtol·|y|. */
function errorNorm(
  y: Float64Array,
  next: Float64Array,
  slopes: readonly Float64Array[],
  h: number,
  rtol: number,
  atol: number,
): number {
  let sum = 0;
  for (let i = 0; i < y.length; i++) {
    const error = h * ERROR_WEIGHTS.reduce((total, weight, s) => total + weight * slopes[s][i], 0);
    sum += (error / (atol + rtol * Math.max(Math.abs(y[i]), Math.abs(next[i])))) ** 2;
  }
  return Math.sqrt(sum / y.length);
}

/** Hairer's guess of a first step: small enough that an Euler step changes the slope little. */
async function firstStep(
  f: Derivative,
  t: number,
  y: Float64Array,
  k0: Float64Array,
  direction: number,
  longest: number,
  rtol: number,
  atol: number,
): Promise<number> {
  const scale = y.map((value) => atol + Math.abs(value) * rtol);
  const norm = (values: Float64Array) =>
    Math.sqrt(values.reduce((sum, value, i) => sum + (value / scale[i]) ** 2, 0) / values.length);
  const [d0, d1] = [norm(y), norm(k0)];
  const h0 = Math.min(d0 < 1e-5 || d1 < 1e-5 ? 1e-6 : (0.01 * d0) / d1, longest);
  const k1 = await f(
    t + direction * h0,
    y.map((value, i) => value + direction * h0 * k0[i]),
  );
  const d2 = norm(k1.map((value, i) => value - k0[i])) / h0;
  const steepest = Math.max(d1, d2);
  const h1 = steepest <= 1e-15 ? Math.max(1e-6, h0 * 1e-3) : (0.01 / steepest) ** 0.2;
  return Math.min(100 * h0, h1, longest);
}
