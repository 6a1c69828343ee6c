/**
 * Emission of convolutions and their gradients. Which lowering is fastest on ONNX Runtime's CPU provider was
 * measured; see docs/decisions/training-lowerings.md.
 */
import {
  addDims,
  type Dim,
  isStatic,
  multiplyDims,
  type Shape,
  sizeOfShape,
} from "../../graph/dim.ts";
import type { ConvGeometry, PrimitiveAttributes, Sym } from "../../graph/primitives.ts";
import { sizeOf } from "../../tensor/tensor.ts";
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
  { attributes: { pads, dilations }, inputs: [source, weights], shape }: Sym<"convTranspose">,
  kernel: readonly [number, number],
  x: string,
  weight: string,
): string {
  const span = [dilations[0] * (kernel[0] - 1), dilations[1] * (kernel[1] - 1)];
  const around = [span[0] - pads[0], span[1] - pads[1], span[0] - pads[2], span[1] - pads[3]];
  const attributes = {
    kernel_shape: { ints: kernel },
    pads: { ints: around },
    dilations: { ints: dilations },
  };
  if (fitsBlocks(emit, source, weights, shape, 1)) {
    const [c, o] = weights.shape as readonly number[];
    const blocks = blockTurnedWeight(emit, [c, o, ...kernel], weight);
    return blockedConvolution(emit, o, attributes, [x, blocks]);
  }
  const swapped = emit.node("Transpose", [weight], { perm: { ints: [1, 0, 2, 3] } });
  const turned = turnAround(emit, swapped, kernel);
  return emit.node("Conv", padChannels(emit, source.shape[1], 1, kernel, x, turned), attributes);
}

/** The domain of ONNX Runtime's convolution on blocks of channels; its optimiser uses it for constant weights only. */
const BLOCKED = "com.microsoft.nchwc";
/** With fewer output positions than this in a batch, blocking the weights costs more than it gains. */
const FEWEST_BLOCKED = 2048;

/** True when the blocked convolution exists, fits, and is faster: for large images, with weights that a graph computes. */
function fitsBlocks(emit: Emitter, x: Sym, weight: Sym, output: Shape, groups: number): boolean {
  const block = emit.blockedChannels;
  if (block === undefined || groups !== 1) return false;
  if (weight.primitive === "parameter" || weight.primitive === "constant") return false;
  const [o, c] = weight.shape as readonly number[];
  return (
    o % block === 0 &&
    c % block === 0 &&
    isStatic(x.shape) &&
    isStatic(output) &&
    output[0] * output[2] * output[3] >= FEWEST_BLOCKED
  );
}

/** A convolution of [x, blocked weight, bias?] through blocks of channels. */
function blockedConvolution(
  emit: Emitter,
  channels: number,
  attributes: Record<string, OnnxAttribute>,
  [x, ...weights]: readonly string[],
): string {
  const blocked = emit.node("ReorderInput", [x], {}, BLOCKED);
  const all = { group: { i: 1 }, ...attributes };
  const y = emit.node("Conv", [blocked, ...weights], all, BLOCKED);
  return emit.node("ReorderOutput", [y], { channels: { i: channels } }, BLOCKED);
}

/** [O, C, kh, kw] as [O/b, C/b, kh, kw, b (in), b (out)]. */
function blockWeight(emit: Emitter, shape: readonly number[], weight: string): string {
  const [o, c, ...kernel] = shape;
  const b = emit.blockedChannels as number;
  // The operator that blocks images blocks the weights' input channels, faster than a transposition.
  const blocks = emit.node("ReorderInput", [weight], {}, BLOCKED); // [O, C/b, kh, kw, b]
  const rows = emit.node("Reshape", [blocks, emit.ints([o / b, b, c * sizeOf(kernel)])]);
  const inner = emit.node("Transpose", [rows], { perm: { ints: [0, 2, 1] } });
  return emit.node("Reshape", [inner, emit.ints(shape)]);
}

/** [C, O, kh, kw] as [O/b, C/b, kh, kw, b (in), b (out)] with the kernel turned around. */
function blockTurnedWeight(emit: Emitter, shape: readonly number[], weight: string): string {
  const [c, o, ...kernel] = shape;
  const b = emit.blockedChannels as number;
  const taps = sizeOf(kernel);
  const blocks = emit.node("ReorderInput", [weight], {}, BLOCKED); // [C, O/b, kh, kw, b]
  const split = emit.node("Reshape", [blocks, emit.ints([c / b, b, o / b, taps, b])]);
  const turned = emit.node("Slice", [
    emit.node("Transpose", [split], { perm: { ints: [2, 0, 3, 1, 4] } }),
    emit.ints([taps - 1]),
    emit.ints([-(2 ** 31)]),
    emit.ints([2]),
    emit.ints([-1]),
  ]);
  return emit.node("Reshape", [turned, emit.ints([o, c, ...kernel])]);
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

/** From this many positions of dy in a sample on, adding up the samples' gradients costs less than it gains. */
const FEWEST_APART = 1024;

/**
 * The weight gradient as one convolution, whose kernel is dy and whose dilations are the strides.
 *
 * dw[o, c, i, j] = Σ over n, y, x of dy[n, o, y, x] · x[n, c, y·s + i·d − p, x·s + j·d − p]. With samples as input
 * channels and the image channels-last, its rows [W·C] long, the offset (j, c) is one coordinate: a step of C to the
 * right is a pixel. The runtime unfolds this in tiles that stay in its caches.
 *
 * Samples of large images are a group each, whose gradients are added up afterwards: dy is then the kernel as it lies,
 * without a transposition.
 */
function dilatedConvolution(
  emit: Emitter,
  { kernel, strides, pads, dilations, groups }: PrimitiveAttributes["convWeightGradient"],
  [n, channels, h, w]: readonly number[],
  [, o, rows, columns]: readonly number[],
  x: string,
  dy: string,
): string {
  const c = channels / groups;
  const span = [0, 1].map((i) => dilations[i] * (kernel[i] - 1) + 1);
  // What the last window reaches beyond the image; windows may also end before it.
  const beyond = [
    (rows - 1) * strides[0] + span[0] - pads[0] - h,
    (columns - 1) * strides[1] + span[1] - pads[1] - w,
  ];
  const last = groupsChannelsLast(emit, [n, channels, h, w], groups, x);
  const image = emit.node("Reshape", [last, emit.ints([1, groups * n, h, w * c])]);
  const apart = groups === 1 && n > 1 && rows * columns >= FEWEST_APART;
  const weight = apart
    ? emit.node("Reshape", [dy, emit.ints([n * o, 1, rows, columns])])
    : emit.node("Transpose", [dy], { perm: { ints: [1, 0, 2, 3] } });
  const found = emit.node("Conv", [image, weight], {
    kernel_shape: { ints: [rows, columns] },
    dilations: { ints: [strides[0], strides[1] * c] },
    pads: {
      ints: [pads[0], pads[1] * c, Math.max(beyond[0], 0), Math.max(beyond[1], 0) * c],
    },
    group: { i: apart ? n : groups },
  });
  const reach = [span[0] + Math.max(-beyond[0], 0), span[1] + Math.max(-beyond[1], 0)];
  const all = apart ? sumOfParts(emit, n, o * sizeOf(reach) * c, found) : found;
  const positions = emit.node("Reshape", [all, emit.ints([o, ...reach, c])]);
  const cut = reach.some((size, i) => size !== kernel[i])
    ? emit.node("Slice", [
        positions,
        emit.ints([0, 0]),
        emit.ints(span),
        emit.ints([1, 2]),
        emit.ints(dilations),
      ])
    : positions;
  return emit.node("Transpose", [cut], { perm: { ints: [0, 3, 1, 2] } });
}

/** Σ over parts of [parts · length] numbers. */
function sumOfParts(emit: Emitter, parts: number, length: number, x: string): string {
  const apart = emit.node("Reshape", [x, emit.ints([parts, length])]);
  return emit.node("ReduceSum", [apart, emit.ints([0])], { keepdims: { i: 0 } });
}

/** [N, g·C, H, W] as [g, N, H, W, C]. Without groups it is a transposition that the runtime has a fast kernel for. */
function groupsChannelsLast(
  emit: Emitter,
  [n, channels, h, w]: readonly number[],
  groups: number,
  x: string,
): string {
  if (groups === 1) return emit.node("Transpose", [x], { perm: { ints: [0, 2, 3, 1] } });
  const split = emit.node("Reshape", [x, emit.ints([n, groups, channels / groups, h, w])]);
  return emit.node("Transpose", [split], { perm: { ints: [1, 0, 3, 4, 2] } });
}

/** The weight gradient as one matrix product per kernel position on channels-last data. */
function shiftedProducts(
  emit: Emitter,
  node: Sym<"convWeightGradient">,
  x: string,
  dy: string,
): string {
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
  const whole = addDims(h, pads[0] + pads[2]) === rows && addDims(w, pads[1] + pads[3]) === columns;
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
}

/** Up to this many input positions in a batch, turning a kernel around costs more than the convolution gains. */
const MOST_SMALL = 512;

/** True for a batch of images so small that the runtime's own transposed convolution is faster. */
function isSmall(emit: Emitter, [n, , h, w]: Shape): boolean {
  return emit.onMlas && isStatic([n, h, w]) && sizeOf([n, h, w] as number[]) <= MOST_SMALL;
}

export const CONVOLUTION = {
  conv: (emit, node, [x, w, ...bias]) => {
    const { inputs: [, weight], attributes } = node; // prettier-ignore
    const kernel = weight.shape.slice(2) as [number, number];
    if (fitsBlocks(emit, node.inputs[0], weight, node.shape, attributes.groups)) {
      const [o, c] = weight.shape as readonly number[];
      const blocks = blockWeight(emit, [o, c, ...kernel], w);
      return blockedConvolution(emit, o, geometryAttributes(attributes, kernel), [
        x,
        blocks,
        ...bias,
      ]);
    }
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
      !isSmall(emit, node.inputs[0].shape) &&
      strides[0] === 1 &&
      strides[1] === 1 &&
      fits &&
      outputPadding.every((missing) => missing === 0)
    )
      return asConvolution(emit, node, kernel, x, w);
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
    const [input, gradient] = node.inputs;
    const [rows, columns] = node.attributes.kernel;
    const fixed = isStatic(input.shape) && isStatic(gradient.shape);
    return emit.onMlas && fixed && rows * columns > 1
      ? dilatedConvolution(emit, node.attributes, input.shape, gradient.shape, x, dy)
      : shiftedProducts(emit, node, x, dy);
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
