/** Emission of matrix products, normalisation, attention and resizing. */
import { isStatic, multiplyDims, sameDim, type Shape } from "../../graph/dim.ts";
import { float32, sizeOf } from "../../tensor/tensor.ts";
import type { Emitter } from "../emitter.ts";
import type { EmitRule } from "./rule.ts";

type Network =
  | "matmul"
  | "softmax"
  | "logSoftmax"
  | "layerNorm"
  | "groupNorm"
  | "channelAffine"
  | "attention"
  | "resize";

const COORDINATES = {
  asymmetric: "asymmetric",
  half_pixel: "half_pixel",
  align_corners: "align_corners",
} as const;

/** [C] as [C, 1, 1, …] for broadcasting over space. */
function perChannel(emit: Emitter, vector: string, channels: number, spatial: number): string {
  return emit.node("Reshape", [
    vector,
    emit.ints([channels, ...Array.from({ length: spatial }, () => 1)]),
  ]);
}

/** Instance normalisation of [N, G, C/G·space]: the fused operator nearest to a group norm. */
function normalizeGroups(
  emit: Emitter,
  shape: Shape,
  { groups, eps }: { readonly groups: number; readonly eps: number },
  x: string,
): string {
  const grouped = emit.node("Reshape", [x, emit.ints([0, groups, -1])]);
  const ones = emit.constant(float32([groups], new Float32Array(groups).fill(1)));
  const zeros = emit.constant(float32([groups], new Float32Array(groups)));
  const normalised = emit.node("InstanceNormalization", [grouped, ones, zeros], {
    epsilon: { f: eps },
  });
  return emit.node("Reshape", [
    normalised,
    isStatic(shape) ? emit.ints(shape) : emit.node("Shape", [x]),
  ]);
}

/** Below this many elements a channel, a product and a sum are faster than a convolution with a group for each. */
const FEWEST_FUSED = 64;

/**
 * x·scale + bias in one pass: a 1×1 convolution whose groups are all channels of all samples. The addend comes in
 * as the value that a fused convolution adds its products to.
 */
function affineConvolution(
  emit: Emitter,
  shape: readonly number[],
  addend: boolean,
  [x, scale, bias]: readonly string[],
): string {
  const [n, c, ...space] = shape;
  const rows = n * c;
  const image = emit.ints([1, rows, 1, sizeOf(space)]);
  const flat = emit.node("Reshape", [x, image]);
  const weight = emit.node("Reshape", [scale, emit.ints([rows, 1, 1, 1])]);
  const attributes = { group: { i: rows }, kernel_shape: { ints: [1, 1] } };
  const y = addend
    ? emit.contrib("FusedConv", [flat, weight, "", emit.node("Reshape", [bias, image])], attributes)
    : emit.node(
        "Conv",
        [flat, weight, emit.node("Reshape", [bias, emit.ints([rows])])],
        attributes,
      );
  return emit.node("Reshape", [y, emit.ints(shape)]);
}

/**
 * Attention without a mask by the operator that works in tiles: the scores [B, H, N, M] never lie in memory at once.
 * It takes and gives heads side by side, [B, N, H·D]; transpositions around it cancel in the runtime.
 */
function fusedAttention(
  emit: Emitter,
  heads: number,
  scale: number,
  [, , , width]: Shape,
  inputs: readonly string[],
): string {
  const perm = { perm: { ints: [0, 2, 1, 3] } };
  const sideBySide = inputs.map((x) =>
    emit.node("Reshape", [emit.node("Transpose", [x], perm), emit.ints([0, 0, -1])]),
  );
  const y = emit.contrib("MultiHeadAttention", sideBySide, {
    num_heads: { i: heads },
    scale: { f: scale },
  });
  const split = emit.node("Reshape", [y, emit.ints([0, 0, heads, width as number])]);
  return emit.node("Transpose", [split], perm);
}

export const NETWORK = {
  matmul: (emit, _, inputs) => emit.node("MatMul", inputs),
  softmax: (emit, { attributes: { axis } }, [x]) =>
    emit.node("Softmax", [x], { axis: { i: axis } }),
  logSoftmax: (emit, { attributes: { axis } }, [x]) =>
    emit.node("LogSoftmax", [x], { axis: { i: axis } }),
  layerNorm: (emit, { attributes: { axes, eps }, shape }, inputs) =>
    emit.node("LayerNormalization", inputs, {
      axis: { i: shape.length - axes },
      epsilon: { f: eps },
    }),
  groupNorm: (emit, node, [x, scale, bias]) => {
    const { shape, attributes } = node;
    const channels = shape[1] as number;
    const normalised = normalizeGroups(emit, shape, attributes, x);
    const scaled = emit.node("Mul", [
      normalised,
      perChannel(emit, scale, channels, shape.length - 2),
    ]);
    return emit.node("Add", [scaled, perChannel(emit, bias, channels, shape.length - 2)]);
  },
  channelAffine: (emit, { shape, inputs: [, , bias] }, names) => {
    const [n, c, ...space] = shape;
    const addend = bias.shape.length > 2;
    const fused =
      emit.onMlas && !emit.portable && isStatic(shape) && sizeOf(space as number[]) >= FEWEST_FUSED;
    if (fused) return affineConvolution(emit, shape, addend, names);
    const [x, scale, offset] = names;
    const broadcast = (values: string): string =>
      emit.node("Reshape", [values, emit.shape([n, c, ...space.map(() => 1)])]);
    const scaled = emit.node("Mul", [x, broadcast(scale)]);
    return emit.node("Add", [scaled, addend ? offset : broadcast(offset)]);
  },
  attention: (emit, node, [q, k, v, mask]) => {
    const { attributes: { scale }, inputs: [query], shape } = node; // prettier-ignore
    const heads = query.shape[1];
    if (emit.onMlas && !emit.portable && mask === undefined && typeof heads === "number")
      return fusedAttention(emit, heads, scale, shape, [q, k, v]);
    const turned = emit.node("Transpose", [k], { perm: { ints: [0, 1, 3, 2] } });
    const scores = emit.node("MatMul", [emit.node("Mul", [q, emit.scalar(scale)]), turned]);
    const masked = mask === undefined ? scores : emit.node("Add", [scores, mask]);
    return emit.node("MatMul", [emit.node("Softmax", [masked], { axis: { i: 3 } }), v]);
  },
  resize: (emit, { inputs: [source], attributes: { mode, coordinates, size }, shape }, [x]) => {
    const attributes = {
      mode: { s: mode },
      coordinate_transformation_mode: { s: COORDINATES[coordinates] },
      ...(mode === "nearest" ? { nearest_mode: { s: "floor" } } : {}),
      ...(mode === "cubic" ? { cubic_coeff_a: { f: -0.75 } } : {}),
    };
    for (const factor of [2, 4])
      if (
        sameDim(size[0], multiplyDims(source.shape[2], factor)) &&
        sameDim(size[1], multiplyDims(source.shape[3], factor))
      )
        return emit.node(
          "Resize",
          [x, "", emit.constant(float32([4], [1, 1, factor, factor]))],
          attributes,
        );
    return emit.node("Resize", [x, "", "", emit.shape(shape)], attributes);
  },
} as const satisfies { readonly [P in Network]: EmitRule<P> };
