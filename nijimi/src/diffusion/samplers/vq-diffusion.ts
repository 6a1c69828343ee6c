/**
 * Mask-and-replace diffusion over discrete codes: Gu et al. 2022, "Vector Quantized Diffusion Model
 * for Text-to-Image Synthesis" (arXiv:2111.14822), eq. 4–11. A code stays with probability α, turns
 * into any other with β each, or into the mask (the last class) with γ; probabilities are kept as
 * logarithms.
 */
import { NijimiError } from "../../errors.ts";
import { sizeOf, type Tensor } from "../../tensor/tensor.ts";
import { stopIfAborted } from "./loop.ts";

type F32 = Tensor<"float32">;

/** Logarithms of α, β and γ of every step, and of their products up to it. */
export interface VqDiffusionSchedule {
  /** Number of classes, the mask included. */
  readonly classes: number;
  readonly steps: number;
  readonly log: LogRates;
  readonly logCumulative: LogRates;
}

interface LogRates {
  readonly alpha: Float64Array;
  readonly beta: Float64Array;
  readonly gamma: Float64Array;
}

/** Options of {@link vqDiffusionSchedule}. */
export interface VqDiffusionScheduleOptions {
  readonly classes: number;
  /** @default 100 */
  readonly steps?: number;
  /** ᾱ of the first and last step. @default [0.99999, 9e-6] */
  readonly alpha?: readonly [first: number, last: number];
  /** γ̄ of the first and last step. @default [9e-6, 0.99999] */
  readonly gamma?: readonly [first: number, last: number];
}

/** The schedule, linear in ᾱ and γ̄. */
export function vqDiffusionSchedule({
  classes,
  steps = 100,
  alpha = [0.99999, 9e-6],
  gamma = [9e-6, 0.99999],
}: VqDiffusionScheduleOptions): VqDiffusionSchedule {
  for (const [name, value] of Object.entries({ classes, steps }))
    if (!(Number.isInteger(value) && value >= 2))
      throw new NijimiError(
        "option",
        `vqDiffusionSchedule: ${name} must be a whole number ≥ 2; got ${value}.`,
      );
  const line = ([first, last]: readonly [number, number]) =>
    Float64Array.from({ length: steps }, (_, t) => (t / (steps - 1)) * (last - first) + first);
  const keepBar = line(alpha);
  const maskBar = line(gamma);
  const keep = keepBar.map((value, t) => value / (t === 0 ? 1 : keepBar[t - 1]));
  const mask = maskBar.map((value, t) => 1 - (1 - value) / (1 - (t === 0 ? 0 : maskBar[t - 1])));
  const rates = (a: Float64Array, c: Float64Array): LogRates => ({
    alpha: a.map(Math.log),
    beta: a.map((value, t) => Math.log((1 - value - c[t]) / (classes - 1))),
    gamma: c.map(Math.log),
  });
  return { classes, steps, log: rates(keep, mask), logCumulative: rates(keepBar, maskBar) };
}

/** Stands in for log 0. */
const LOG_ZERO = Math.log(1e-30);

/**
 * log p(x_{t−1} | x_t): the posteriors q(x_{t−1} | x_t, x_0) averaged over the network's p(x_0).
 *
 * @param logX0 log p(x_0) without the mask, [B, classes − 1, N]
 * @param codes x_t, [B, N]
 * @returns [B, classes, N]
 */
export function vqPosterior(
  schedule: VqDiffusionSchedule,
  logX0: F32,
  codes: Tensor<"int64">,
  t: number,
): F32 {
  const { classes, log, logCumulative } = schedule;
  const known = classes - 1; // also the mask's number
  const [batch, , length] = logX0.shape;
  const out = new Float32Array(batch * classes * length);
  const q = new Float64Array(known);
  for (let b = 0; b < batch; b++)
    for (let n = 0; n < length; n++) {
      const code = Number(codes.data[b * length + n]);
      const masked = code === known;
      // log q(x_t | x = class), over one step or all of them
      const reach = (rates: LogRates, at: number, k: number) =>
        masked
          ? rates.gamma[at]
          : logAddExp((code === k ? 0 : LOG_ZERO) + rates.alpha[at], rates.beta[at]);
      for (let k = 0; k < known; k++)
        q[k] = logX0.data[(b * known + k) * length + n] - reach(logCumulative, t, k);
      const total = logSumExp(q);
      for (let k = 0; k < known; k++) {
        const earlier = logAddExp(
          q[k] - total + logCumulative.alpha[t - 1],
          logCumulative.beta[t - 1],
        );
        out[(b * classes + k) * length + n] = earlier + reach(log, t, k) + total;
      }
      out[(b * classes + known) * length + n] =
        logCumulative.gamma[t - 1] + (masked ? 0 : LOG_ZERO) + total;
    }
  return { dtype: "float32", shape: [batch, classes, length], data: out };
}

/**
 * Draws a class per position by Gumbel's trick: argmax of log p − log(−log u).
 *
 * @param uniform numbers in [0, 1) of the shape of `logits`, [B, K, N]
 * @returns [B, N]
 */
export function gumbelArgmax(logits: F32, uniform: F32): Tensor<"int64"> {
  const [batch, classes, length] = logits.shape;
  if (uniform.data.length !== logits.data.length)
    throw new NijimiError(
      "shape",
      `gumbelArgmax: uniform numbers must have the shape [${logits.shape}]; got [${uniform.shape}].`,
    );
  const codes = new BigInt64Array(batch * length);
  for (let b = 0; b < batch; b++)
    for (let n = 0; n < length; n++) {
      let best = -Infinity;
      for (let k = 0; k < classes; k++) {
        const i = (b * classes + k) * length + n;
        const value = logits.data[i] - Math.log(-Math.log(uniform.data[i] + 1e-30) + 1e-30);
        if (value > best) [best, codes[b * length + n]] = [value, BigInt(k)];
      }
    }
  return { dtype: "int64", shape: [batch, length], data: codes };
}

/** Input of {@link vqDiffusion}. */
export interface VqDiffusionInput {
  readonly schedule: VqDiffusionSchedule;
  /** log p(x_0) without the mask, [B, classes − 1, N], from codes [B, N] at step t. */
  readonly network: (codes: Tensor<"int64">, t: number) => F32 | Promise<F32>;
  /** Start, [B, N]: all masked. */
  readonly codes: Tensor<"int64">;
  /** Uniform numbers in [0, 1). */
  readonly uniform: (shape: readonly number[]) => F32;
  readonly signal?: AbortSignal;
}

/** A finished step of {@link vqDiffusion}. */
export interface VqDiffusionStep {
  readonly step: number;
  readonly steps: number;
  readonly codes: Tensor<"int64">;
}

/** Samples codes, from the last step of the schedule to the first. */
export async function* vqDiffusion({
  schedule,
  network,
  codes: start,
  uniform,
  signal,
}: VqDiffusionInput): AsyncGenerator<VqDiffusionStep, void, undefined> {
  if (start.data.length !== sizeOf(start.shape) || start.shape.length !== 2)
    throw new NijimiError("shape", `vqDiffusion: codes must be [B, N]; got [${start.shape}].`);
  let codes = start;
  for (let step = 0; step < schedule.steps; step++) {
    stopIfAborted("vqDiffusion", signal);
    const t = schedule.steps - 1 - step;
    const logX0 = await network(codes, t);
    codes = vqDiffusionStep(schedule, logX0, codes, t, uniform);
    yield { step, steps: schedule.steps, codes };
  }
}

/** One step: from x_t to x_{t−1}, and from x_0's own distribution at t = 0. */
export function vqDiffusionStep(
  schedule: VqDiffusionSchedule,
  logX0: F32,
  codes: Tensor<"int64">,
  t: number,
  uniform: (shape: readonly number[]) => F32,
): Tensor<"int64"> {
  const logits = t === 0 ? logX0 : vqPosterior(schedule, logX0, codes, t);
  return gumbelArgmax(logits, uniform(logits.shape));
}

function logAddExp(a: number, b: number): number {
  const high = Math.max(a, b);
  return high === -Infinity ? high : high + Math.log1p(Math.exp(Math.min(a, b) - high));
}

function logSumExp(values: Float64Array): number {
  const high = values.reduce((a, b) => Math.max(a, b), -Infinity);
  return high + Math.log(values.reduce((sum, value) => sum + Math.exp(value - high), 0));
}
