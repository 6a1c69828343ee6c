/**
 * Emission of products with quantised weights. ONNX Runtime's CPU kernels multiply 8-bit integers two to four times as
 * fast as floats, for matrices; its integer convolutions are slow or want to know the range of their result before.
 * So a convolution gathers the pixels under its kernel, one byte each, and is a product. Measured in
 * docs/decisions/int8.md.
 */
import { tensor } from "../../tensor/tensor.ts";
import type { Sym, WeightBlocks } from "../../graph/primitives.ts";
import type { Emitter } from "../emitter.ts";
import { ONNX_DTYPES } from "../protobuf.ts";
import type { EmitRule } from "./rule.ts";

type Quantized =
  | "after"
  | "dequantize"
  | "dequantizeBlocks"
  | "integerMatmul"
  | "integerConv"
  | "blockMatmul";

/** Activations as bytes: values = (bytes − zero)·scale. */
interface Bytes {
  readonly bytes: string;
  readonly scale: string;
  readonly zero: string;
}

/** The range is that of the whole tensor, found at every run. */
function quantizeActivations(emit: Emitter, x: string): Bytes {
  const [bytes, scale, zero] = emit.nodeWithOutputs("DynamicQuantizeLinear", [x], 3);
  return { bytes, scale, zero };
}

/** Weights moved to 0 … 255, and the zero point of each column: products of unsigned bytes are slower and never overflow. */
function unsigned(emit: Emitter, values: string, columns: number): [string, string] {
  const to = (x: string, dtype: "int32" | "uint8"): string =>
    emit.node("Cast", [x], { to: { i: ONNX_DTYPES[dtype] } });
  const offset = emit.constant(tensor("int32", [], Int32Array.of(128)));
  const middle = new Uint8Array(columns).fill(128);
  return [
    to(emit.node("Add", [to(values, "int32"), offset]), "uint8"),
    emit.constant(tensor("uint8", [columns], middle)),
  ];
}

/** [..., K] × int8 [K, N], scaled, plus bias: [..., N] */
function integerProduct(
  emit: Emitter,
  { bytes, scale, zero }: Bytes,
  [values, columnScale, bias]: readonly string[],
  columns: number,
): string {
  if (emit.onMlas && !emit.portable) {
    const biases = bias === undefined ? [] : [bias];
    const [factor, middle] = emit.bytesOverflow ? unsigned(emit, values, columns) : [values, ""];
    const inputs = [bytes, factor, scale, columnScale, zero, middle, ...biases];
    return emit.contrib("MatMulIntegerToFloat", inputs);
  }
  const sums = emit.node("MatMulInteger", [bytes, values, zero]);
  const floats = emit.node("Cast", [sums], { to: { i: ONNX_DTYPES.float32 } });
  const scaled = emit.node("Mul", [floats, emit.node("Mul", [scale, columnScale])]);
  return bias === undefined ? scaled : emit.node("Add", [scaled, bias]);
}

function columnsOf({ shape }: Sym): number {
  return shape[1] as number;
}

const CHANNELS_LAST = { perm: { ints: [0, 2, 3, 1] } };
const CHANNELS_FIRST = { perm: { ints: [0, 3, 1, 2] } };

/** Blocks as floats [N, depth]; 4-bit numbers lie two in a byte, the first one low. */
function unpackBlocks(
  emit: Emitter,
  { bits, blockSize }: WeightBlocks,
  [rows, blocks, bytes]: readonly number[],
  depth: number,
  [values, scale]: readonly string[],
): string {
  const numbers = bits === 8 ? values : unpackNibbles(emit, [rows, blocks, bytes], values);
  const floats = emit.node("Cast", [numbers], { to: { i: ONNX_DTYPES.float32 } });
  const centred = emit.node("Sub", [floats, emit.scalar(2 ** (bits - 1))]);
  const scales = emit.node("Reshape", [scale, emit.ints([rows, blocks, 1])]);
  const scaled = emit.node("Mul", [centred, scales]);
  const whole = emit.node("Reshape", [scaled, emit.ints([rows, blocks * blockSize])]);
  return blocks * blockSize === depth
    ? whole
    : emit.node("Slice", [whole, emit.ints([0]), emit.ints([depth]), emit.ints([1])]);
}

function unpackNibbles(emit: Emitter, [rows, blocks, bytes]: readonly number[], values: string) {
  const byte = (value: number): string => emit.constant(tensor("uint8", [1], Uint8Array.of(value)));
  const high = emit.node("BitShift", [values, byte(4)], { direction: { s: "RIGHT" } });
  const low = emit.node("BitwiseAnd", [values, byte(15)]);
  const apart = [low, high].map((half) =>
    emit.node("Reshape", [half, emit.ints([rows, blocks, bytes, 1])]),
  );
  return emit.node("Reshape", [
    emit.node("Concat", apart, { axis: { i: 3 } }),
    emit.ints([rows, blocks, 2 * bytes]),
  ]);
}

/** A zero that cannot be known before `x` is, whatever x holds: int64 [1]. */
function zeroOf(emit: Emitter, x: string): string {
  const flat = emit.node("Reshape", [x, emit.ints([-1])]);
  const first = emit.node("Slice", [flat, emit.ints([0]), emit.ints([1])]);
  const never = emit.node("Less", [emit.node("Abs", [first]), emit.scalar(-1)]);
  return emit.node("Cast", [never], { to: { i: ONNX_DTYPES.int64 } });
}

export const QUANTIZED = {
  // The shape waits for x, and so does what has it; no number is copied.
  after: (emit, { shape }, [weight, x]) =>
    emit.node("Reshape", [weight, emit.node("Add", [emit.shape(shape), zeroOf(emit, x)])]),
  dequantize: (emit, { attributes: { axis } }, inputs) =>
    emit.node("DequantizeLinear", inputs, { axis: { i: axis } }),
  dequantizeBlocks: (emit, { inputs: [values], attributes: { depth, ...blocks } }, names) =>
    unpackBlocks(emit, blocks, values.shape as readonly number[], depth, names),
  integerMatmul: (emit, { inputs: [, values] }, [x, ...weight]) =>
    integerProduct(emit, quantizeActivations(emit, x), weight, columnsOf(values)),
  integerConv: (emit, { inputs: [source, pixels, values], shape }, [x, numbers, ...weight]) => {
    const channels = source.shape[1] as number;
    const [batch, , height, width] = shape;
    const taps = pixels.shape[2] as number;
    const { bytes, ...range } = quantizeActivations(emit, x);
    const last = emit.node("Transpose", [bytes], CHANNELS_LAST);
    const rows = emit.node("Reshape", [last, emit.ints([0, -1, channels])]);
    // One pixel of zeros after the last, for what lies outside.
    const padded = emit.node("Pad", [rows, emit.ints([0, 0, 0, 0, 1, 0]), range.zero]);
    const around = emit.node("Gather", [padded, numbers], { axis: { i: 1 } });
    const unfolded = emit.node("Reshape", [
      around,
      emit.reshapeTarget(
        [batch, height, width, taps, channels],
        [batch, height, width, taps * channels],
      ),
    ]);
    const product = integerProduct(emit, { bytes: unfolded, ...range }, weight, columnsOf(values));
    return emit.node("Transpose", [product], CHANNELS_FIRST);
  },
  blockMatmul: (emit, { inputs: [source, values], attributes }, [x, integers, scale]) => {
    const { bits, blockSize } = attributes;
    const [rows, blocks, bytes] = values.shape as readonly number[];
    const depth = source.shape.at(-1) as number;
    if (emit.onMlas && !emit.portable)
      return emit.contrib("MatMulNBits", [x, integers, scale], {
        K: { i: depth },
        N: { i: rows },
        bits: { i: bits },
        block_size: { i: blockSize },
        accuracy_level: { i: bits === 8 ? 4 : 0 },
      });
    const floats = unpackBlocks(emit, attributes, [rows, blocks, bytes], depth, [integers, scale]);
    return emit.node("MatMul", [x, emit.node("Transpose", [floats], { perm: { ints: [1, 0] } })]);
  },
} as const satisfies { readonly [P in Quantized]: EmitRule<P> };
