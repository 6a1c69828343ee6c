/** Composite primitives written with simpler ones, shared by gradients, simplification and portable export. */
import { add, matmul, mul, softmax, swapAxes } from "./ops.ts";
import type { Sym } from "./primitives.ts";

/** softmax(scale·q·kᵀ + mask): [B, H, N, M]. */
export function attentionProbabilities(q: Sym, k: Sym, mask: Sym | undefined, scale: number): Sym {
  const scores = matmul(mul(q, scale), swapAxes(k, -1, -2));
  return softmax(mask === undefined ? scores : add(scores, mask), -1);
}

/** softmax(scale·q·kᵀ + mask)·v: what the primitive `attention` means. */
export function decomposeAttention({
  inputs: [q, k, v, mask],
  attributes: { scale },
}: Sym<"attention">): Sym {
  return matmul(attentionProbabilities(q, k, mask, scale), v);
}
