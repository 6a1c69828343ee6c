/**
 * Exponential moving averages of parameters: the average as a graph, and the decay of each update as a number.
 */
import { add, mul, sub } from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";

/** ema ← ema − (1 − decay)(ema − parameters). `decay` is a float32 scalar. */
export function emaUpdate(ema: Sym, parameters: Sym, decay: Sym): Sym {
  return sub(ema, mul(sub(ema, parameters), add(mul(decay, -1), 1)));
}

/** Options of {@link emaDecay}. */
export interface EmaOptions {
  /** Largest decay. @default 0.9999 */
  readonly decay?: number;
  /** Smallest decay. @default 0 */
  readonly minDecay?: number;
  /** Updates before averaging begins. @default 0 */
  readonly updateAfterStep?: number;
  /** Rise as 1 − (1 + n/invGamma)^−power instead of (1 + n)/(10 + n). @default false */
  readonly warmup?: boolean;
  /** @default 1 */
  readonly invGamma?: number;
  /** @default 2/3 */
  readonly power?: number;
}

/** The decay of update `step` (from 1), as diffusers' EMAModel. */
export function emaDecay(
  step: number,
  {
    decay = 0.9999,
    minDecay = 0,
    updateAfterStep = 0,
    warmup = false,
    invGamma = 1,
    power = 2 / 3,
  }: EmaOptions = {},
): number {
  const n = Math.max(0, step - updateAfterStep - 1);
  if (n <= 0) return 0;
  const rising = warmup ? 1 - (1 + n / invGamma) ** -power : (1 + n) / (10 + n);
  return Math.max(minDecay, Math.min(rising, decay));
}
