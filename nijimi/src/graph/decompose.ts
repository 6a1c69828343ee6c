/** Composite primitives written with simpler ones, shared by gradients, simplification and portable export. */
import { add, apply, matmul, mul, reshape, softmax, swapAxes } from "./ops.ts";
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

/** x̂·scale + bias: what the primitive `groupNorm` means, given x̂. */
export function affineGroups(normalised: Sym, scale: Sym, bias: Sym): Sym {
  const perChannel = (values: Sym): Sym =>
    reshape(values, [1, -1, ...normalised.shape.slice(2).map(() => 1)]);
  return add(mul(normalised, perChannel(scale)), perChannel(bias));
}

/** The normalised input of a group norm. */
export function normalisedGroups({ inputs: [x], attributes }: Sym<"groupNorm">): Sym {
  return apply("normalizeGroups", [x], attributes);
}
