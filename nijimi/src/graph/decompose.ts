/** Composite primitives written with simpler ones, shared by gradients, simplification and portable export. */
import { multiplyDims } from "./dim.ts";
import {
  add,
  cast,
  channelAffine,
  dimension,
  div,
  expand,
  matmul,
  mean,
  mul,
  reshape,
  softmax,
  sqrt,
  sub,
  sumSquares,
  swapAxes,
} from "./ops.ts";
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

/** What a group norm computes from its input before its scale and bias come in. */
export interface GroupStatistics {
  /** x − μ, of x's shape. */
  readonly centred: Sym;
  /** 1/√(σ² + eps) of each group: [N, G, 1]. */
  readonly inverse: Sym;
  /** Elements of a group. */
  readonly size: Sym;
}

/** The statistics of a group norm, in two passes as the variance is exact then. */
export function groupStatistics({
  inputs: [x],
  attributes: { groups, eps },
}: Sym<"groupNorm">): GroupStatistics {
  const [n, c, ...space] = x.shape;
  const length = multiplyDims((c as number) / groups, ...space);
  const size = cast(dimension(length), x.dtype);
  const grouped = reshape(x, [n, groups, length]);
  const centred = sub(grouped, mean(grouped, { axes: [2], keepDims: true }));
  const variance = div(sumSquares(centred, { axes: [2], keepDims: true }), size);
  return { centred: reshape(centred, x.shape), inverse: div(1, sqrt(add(variance, eps))), size };
}

/** centred·inverse·scale + bias: what the primitive `groupNorm` means, given its statistics. */
export function affineGroups(
  { centred, inverse }: Pick<GroupStatistics, "centred" | "inverse">,
  scale: Sym,
  bias: Sym,
): Sym {
  const [n, c] = centred.shape;
  return channelAffine(centred, mul(perChannel(inverse, c as number), scale), expand(bias, [n, c]));
}

/** Values of groups [N, G, 1] for each of their channels: [N, C]. */
export function perChannel(values: Sym, channels: number): Sym {
  const [n, groups] = values.shape;
  return reshape(expand(values, [n, groups, channels / (groups as number)]), [n, channels]);
}
