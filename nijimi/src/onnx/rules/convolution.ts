/**
 * Emission of convolutions and their gradients. Which lowering is fastest on ONNX Runtime's CPU provider was
 * measured; see docs/decisions/training-lowerings.md.
 */
import { addDims, type Dim, multiplyDims, sizeOfShape } from "../../graph/dim.ts";
import type { ConvGeometry } from "../../graph/primitives.ts";
import type { Emitter } from "../emitter.ts";
import type { OnnxAttribute } from "../model.ts";
import type { EmitRule } from "./rule.ts";

type Convolution = "conv" | "convTranspose" | "convWeightGradient" | "maxPool" | "averagePool";

function geometryAttributes(
  { strides, pads, dilations, groups }: ConvGeometry,
  kernel: readonly number[],
): Record<string, OnnxAttribute> {
  return {
    kernel_shape: { ints: kernel },
    strides: { ints: strides },
    pads: { ints: pads },
    dilations: { ints: dilations },
    group: { i: groups },
  };
}

/** A stride-1 transposed convolution as a convolution with the kernel turned around and its channels swapped. */
function asConvolution(
  emit: Emitter,
  { pads, dilations }: ConvGeometry,
  kernel: readonly [number, number],
  channels: Dim,
  x: string,
  weight: string,
): string {
  const swapped = emit.node("Transpose", [weight], { perm: { ints: [1, 0, 2, 3] } });
  const span = [dilations[0] * (kernel[0] - 1), dilations[1] * (kernel[1] - 1)];
  const turned = turnAround(emit, swapped, kernel);
  return emit.node("Conv", padChannels(emit, channels, 1, kernel, x, turned), {
    kernel_shape: { ints: kernel },
    pads: { ints: [span[0] - pads[0], span[1] - pads[1], span[0] - pads[2], span[1] - pads[3]] },
    dilations: { ints: dilations },
  });
}

/**
 * Input and weight of a convolution, on WebGPU with zero channels added up to a multiple of four.
 *
 * ONNX Runtime 1.30's WebGPU convolution is wrong for input channels that are a multiple of 3 but not of 4 (3 itself
 * excepted) with kernels larger than 1×1: Stable Diffusion's inpainting network begins with such a one, 9 channels.
 */
function padChannels(
  emit: Emitter,
  channels: Dim,
  groups: number,
  kernel: readonly [number, number],
  x: string,
  weight: string,
): [string, string] {
  const affected =
    emit.device === "webgpu" &&
    groups === 1 &&
    kernel[0] * kernel[1] > 1 &&
    typeof channels === "number" &&
    channels > 3 &&
    channels % 3 === 0 &&
    channels % 4 !== 0;
  if (!affected) return [x, weight];
  const missing = 4 - (channels % 4);
  const pads = emit.ints([0, 0, 0, 0, 0, missing, 0, 0]);
  return [emit.node("Pad", [x, pads]), emit.node("Pad", [weight, pads])];
}

/** Reverses the spatial axes of a kernel. */
function turnAround(emit: Emitter, weight: string, kernel: readonly [number, number]): string {
  const axes = [0, 1].filter((axis) => kernel[axis] > 1);
  if (axes.length === 0) return weight;
  return emit.node("Slice", [
    weight,
    emit.ints(axes.map((axis) => kernel[axis] - 1)),
    emit.ints(axes.map(() => -(2 ** 31))),
    emit.ints(axes.map((axis) => axis + 2)),
    emit.ints(axes.map(() => -1)),
  ]);
}

export const CONVOLUTION = {
  conv: (emit, { inputs: [, weight], attributes }, [x, w, ...bias]) => {
    const kernel = weight.shape.slice(2) as [number, number];
    const padded = padChannels(emit, weight.shape[1], attributes.groups, kernel, x, w);
    return emit.node("Conv", [...padded, ...bias], geometryAttributes(attributes, kernel));
  },
  convTranspose: (emit, node, [x, w]) => {
    const { outputPadding, ...geometry } = node.attributes;
    const { strides, pads, dilations, groups } = geometry;
    const kernel = node.inputs[1].shape.slice(2) as [number, number];
    const fits = pads.every((pad, i) => pad <= dilations[i % 2] * (kernel[i % 2] - 1));
    if (
      groups === 1 &&
      strides[0] === 1 &&
      strides[1] === 1 &&
      fits &&
      outputPadding.every((missing) => missing === 0)
    )
      return asConvolution(emit, geometry, kernel, node.inputs[0].shape[1], x, w);
    const attributes = geometryAttributes(geometry, kernel);
    const usable = outputPadding.every(
      (missing, i) =>
        typeof missing === "number" && missing >= 0 && missing < Math.max(strides[i], dilations[i]),
    );
    if (usable)
      return emit.node("ConvTranspose", [x, w], {
        ...attributes,
        output_padding: { ints: outputPadding as readonly number[] },
      });
    // The missing rows are unknown until the sizes are: make as many as there can be and cut.
    const most = strides.map((stride) => stride - 1);
    const large = emit.node("ConvTranspose", [x, w], {
      ...attributes,
      output_padding: { ints: most },
    });
    const ends = emit.shape(node.shape.slice(2));
    return emit.node("Slice", [large, emit.ints([0, 0]), ends, emit.ints([2, 3])]);
  },
  convWeightGradient: (emit, node, [x, dy]) => {
    // dw[o, c, i, j] = Σ over samples and outputs of dy[o] · x[c] shifted by (i, j):
    // one matrix product per kernel position on channels-last data.
    const { kernel, strides, pads, dilations, groups } = node.attributes;
    const [input, gradient] = node.inputs;
    const [n, c, h, w] = input.shape;
    const [, o, rows, columns] = gradient.shape;
    const positions = sizeOfShape([n, rows, columns]);
    const perGroup = [(o as number) / groups, (c as number) / groups];
    const padded = pads.some((pad) => pad !== 0)
      ? emit.node("Pad", [x, emit.ints([0, 0, pads[0], pads[1], 0, 0, pads[2], pads[3]])])
      : x;
    const last = emit.node("Transpose", [padded], { perm: { ints: [0, 2, 3, 1] } }); // [N, H, W, C]
    const grouped = emit.node("Transpose", [dy], { perm: { ints: [1, 0, 2, 3] } }); // [O, N, H', W']
    const left = emit.node("Reshape", [grouped, emit.shape([groups, perGroup[0], positions])]);
    const whole =
      addDims(h, pads[0] + pads[2]) === rows && addDims(w, pads[1] + pads[3]) === columns;
    const products: string[] = [];
    for (let i = 0; i < kernel[0]; i++)
      for (let j = 0; j < kernel[1]; j++) {
        const start = [i * dilations[0], j * dilations[1]];
        const end = (at: number, count: Dim, stride: number): Dim =>
          addDims(at + 1, multiplyDims(addDims(count, -1), stride));
        const ends = [end(start[0], rows, strides[0]), end(start[1], columns, strides[1])];
        const view = whole
          ? last
          : emit.node("Slice", [
              last,
              emit.ints(start),
              emit.shape(ends),
              emit.ints([1, 2]),
              emit.ints(strides),
            ]);
        const flat = emit.node("Reshape", [view, emit.shape([positions, groups, perGroup[1]])]);
        const right =
          groups === 1 ? flat : emit.node("Transpose", [flat], { perm: { ints: [1, 0, 2] } });
        const product =
          groups === 1
            ? emit.node("MatMul", [
                emit.node("Reshape", [left, emit.shape([perGroup[0], positions])]),
                emit.node("Reshape", [right, emit.shape([positions, perGroup[1]])]),
              ])
            : emit.node("MatMul", [left, right]); // [O/g, C/g] or [groups, O/g, C/g]
        products.push(emit.node("Reshape", [product, emit.ints([o as number, perGroup[1], 1])]));
      }
    const joined =
      products.length === 1 ? products[0] : emit.node("Concat", products, { axis: { i: 2 } });
    return emit.node("Reshape", [joined, emit.ints([o as number, perGroup[1], ...kernel])]);
  },
  maxPool: (emit, { attributes: { kernel, strides, pads } }, [x]) =>
    emit.node("MaxPool", [x], {
      kernel_shape: { ints: kernel },
      strides: { ints: strides },
      pads: { ints: pads },
    }),
  averagePool: (emit, { attributes: { kernel, strides, pads, countIncludePad } }, [x]) =>
    emit.node("AveragePool", [x], {
      kernel_shape: { ints: kernel },
      strides: { ints: strides },
      pads: { ints: pads },
      count_include_pad: { i: countIncludePad ? 1 : 0 },
    }),
} as const satisfies { readonly [P in Convolution]: EmitRule<P> };
