/** Clipping of gradients by their global norm, as torch.nn.utils.clip_grad_norm_. */
import { abs, add, div, minimum, mul, pow, reduceMax, sqrt, square, sum } from "../../graph/ops.ts";
import type { Sym } from "../../graph/primitives.ts";

/** Options of {@link clipByNorm}. */
export interface ClipOptions {
  /** p of the norm (Σ|g|ᵖ)^(1/p); Infinity for max|g|. @default 2 */
  readonly normType?: number;
}

/** g · min(1, maxNorm / (‖g‖ + 1e-6)) and ‖g‖ of a flat gradient. */
export function clipByNorm(
  gradient: Sym,
  maxNorm: number,
  { normType = 2 }: ClipOptions = {},
): { readonly gradient: Sym; readonly norm: Sym } {
  const norm = normOf(gradient, normType);
  return { gradient: mul(gradient, minimum(div(maxNorm, add(norm, 1e-6)), 1)), norm };
}

function normOf(gradient: Sym, p: number): Sym {
  if (p === 2) return sqrt(sum(square(gradient)));
  if (p === Infinity) return reduceMax(abs(gradient));
  return pow(sum(pow(abs(gradient), p)), 1 / p);
}
