/**
 * Conditions between those of two prompts. Each token's vector is taken part of the way: along the straight line, or
 * along the arc (slerp), with its length between the two lengths.
 */
import { NijimiError, unknownName } from "../../errors.ts";
import type { Tensor } from "../../tensor/tensor.ts";
import { type Condition, type Conditions, isNegative } from "./conditions.ts";

type F32 = Tensor<"float32">;

export const BLENDS = ["slerp", "lerp"] as const;

export type BlendKind = (typeof BLENDS)[number];

/** What is between two prompts. */
export interface PromptBlend {
  /** The other prompt. */
  readonly prompt: string;
  /** How far towards it, 0 to 1. */
  readonly share: number;
  /** Along the arc or the straight line. @default "slerp" */
  readonly how?: BlendKind;
}

/** Vectors nearer than this in direction are blended along the line, which is then the same. */
const NEARLY_PARALLEL = 0.9995;

/** @throws NijimiError `option` for a share outside of 0 to 1 */
export function requireBlend({ share, how = "slerp" }: PromptBlend): void {
  if (!(share >= 0 && share <= 1))
    throw new NijimiError("option", `blend: share must lie between 0 and 1; got ${share}.`);
  if (!BLENDS.includes(how)) throw unknownName("blend", how, BLENDS);
}

/** Conditions part of the way from `a` to `b`; the negative prompt is `a`'s. */
export function blendConditions(
  a: Conditions,
  b: Conditions,
  { share, how = "slerp" }: Pick<PromptBlend, "share" | "how">,
): Conditions {
  if (a.weights.length !== b.weights.length)
    throw new NijimiError(
      "option",
      "Prompts that are blended must have equally many parts joined by AND.",
    );
  const blend = how === "slerp" ? slerpRows : lerpRows;
  return {
    weights: a.weights.map((weight, i) => weight + share * (b.weights[i] - weight)),
    truncated: Math.max(a.truncated, b.truncated),
    at(branch, image, step): Condition {
      const from = a.at(branch, image, step);
      if (isNegative(branch)) return from;
      const to = b.at(branch, image, step);
      return {
        ...from,
        context: blend(from.context, to.context, share),
        pooled: blend(from.pooled, to.pooled, share),
      };
    },
  };
}

/** (1 − t)·a + t·b */
export function lerpRows(a: F32, b: F32, t: number): F32 {
  return { ...a, data: a.data.map((value, i) => (1 - t) * value + t * b.data[i]) };
}

/** sin((1 − t)·θ)/sin θ · a + sin(t·θ)/sin θ · b, for each vector of the last axis. */
export function slerpRows(a: F32, b: F32, t: number): F32 {
  const width = a.shape[a.shape.length - 1];
  const data = new Float32Array(a.data.length);
  for (let at = 0; at < data.length; at += width) {
    const [dot, aa, bb] = products(a.data, b.data, at, width);
    const cosine = dot / Math.sqrt(aa * bb);
    const isLine = !(Math.abs(cosine) < NEARLY_PARALLEL);
    const theta = Math.acos(isLine ? 0 : cosine);
    const [from, to] = isLine
      ? [1 - t, t]
      : [Math.sin((1 - t) * theta) / Math.sin(theta), Math.sin(t * theta) / Math.sin(theta)];
    for (let i = at; i < at + width; i++) data[i] = from * a.data[i] + to * b.data[i];
  }
  return { ...a, data };
}

/** a·b, a·a, b·b of one vector. */
function products(
  a: Float32Array,
  b: Float32Array,
  at: number,
  width: number,
): [dot: number, aa: number, bb: number] {
  let [dot, aa, bb] = [0, 0, 0];
  for (let i = at; i < at + width; i++) {
    dot += a[i] * b[i];
    aa += a[i] * a[i];
    bb += b[i] * b[i];
  }
  return [dot, aa, bb];
}
