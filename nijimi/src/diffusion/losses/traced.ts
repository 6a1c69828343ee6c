/** What the traced losses share: numbers per sample, errors per element, means per sample. */
import { unknownName } from "../../errors.ts";
import {
  abs,
  add,
  constant,
  gather,
  less,
  mean,
  mul,
  reshape,
  sqrt,
  square,
  sub,
  sum,
  where,
} from "../../graph/ops.ts";
import type { Sym } from "../../graph/primitives.ts";
import { float32 } from "../../tensor/tensor.ts";

/**
 * A network in a trace.
 *
 * @param x state [B, C, …]
 * @param condition what it is told about the noise level, [B]: int64 timesteps or float32 levels
 * @returns the prediction, of x's shape or with twice its channels
 */
export type TracedNetwork = (x: Sym, condition: Sym) => Sym;

/** `table[t]` for the timesteps of a batch: float32 [B]. @param t int64 [B] */
export function lookUp(table: ArrayLike<number>, t: Sym): Sym {
  return gather(constant(float32([table.length], table)), t);
}

/** Numbers per sample [B] as [B, 1, …], ready to be combined with a tensor of the batch. */
export function alongBatch(values: Sym, like: Sym): Sym {
  return reshape(values, [values.shape[0], ...like.shape.slice(1).map(() => 1)]);
}

/** Numbers per sample [B] times a tensor of the batch [B, …]. */
export function scaleBatch(values: Sym, x: Sym): Sym {
  return mul(alongBatch(values, x), x);
}

/** Mean over everything but the batch: [B]. */
export function meanPerSample(x: Sym): Sym {
  return mean(x, { axes: x.shape.slice(1).map((_, axis) => axis + 1) });
}

/** Sum over everything but the batch: [B]. */
export function sumPerSample(x: Sym): Sym {
  return sum(x, { axes: x.shape.slice(1).map((_, axis) => axis + 1) });
}

/** Names of the distances between a prediction and its target. */
export const ERROR_NORMS = ["l2", "l1", "huber", "pseudo-huber"] as const;

/**
 * How far a prediction is from its target, per element, d being the difference:
 *
 * - l2: d²
 * - l1: |d|
 * - huber (torch's `smooth_l1`): ½d² below 1, |d| − ½ above
 * - pseudo-huber: √(d² + c²) − c (Song & Dhariwal 2023, arXiv:2310.14189, section 3.3)
 */
export type ErrorNorm = (typeof ERROR_NORMS)[number];

/**
 * The distance of every element. @param c of pseudo-huber; @default 0.03, the paper's for 3×32×32
 */
export function elementError(prediction: Sym, target: Sym, norm: ErrorNorm = "l2", c = 0.03): Sym {
  const d = sub(prediction, target);
  switch (norm) {
    case "l2":
      return square(d);
    case "l1":
      return abs(d);
    case "huber":
      return where(less(abs(d), 1), mul(square(d), 0.5), sub(abs(d), 0.5));
    case "pseudo-huber":
      return sub(sqrt(add(square(d), c * c)), c);
    default:
      throw unknownName("error norm", String(norm), ERROR_NORMS);
  }
}
