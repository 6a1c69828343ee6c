/**
 * Weights as integers with scales: w ≈ scale · integer, each to the nearest, so |error| ≤ scale / 2.
 *
 * A weight [O, I, …kernel] is quantised per output in 8 bits, scale = max|w| / 127, or, a matrix, per block of a row in
 * 8 or 4 bits, scale = max|w| / 127 or max|w| / 7, the integers kept with 128 or 8 added.
 */
import { InternalError } from "../errors.ts";
import { sizeOf, type Tensor, tensor, float32 } from "./tensor.ts";

/** Integers, and a scale for each output or block. */
export interface QuantizedTensor {
  readonly values: Tensor<"int8" | "uint8">;
  readonly scale: Tensor<"float32">;
}

type F32 = Tensor<"float32">;

/** Bits of a number, and how many numbers share a scale. */
interface Blocks {
  readonly bits: 4 | 8;
  readonly blockSize: number;
}

/** Largest magnitude of an integer of 8 bits; −128 has no use for a scale that is symmetric. */
const LARGEST_BYTE = 127;

/** A scale per output. @returns values [O, I, …kernel], scale [O] */
export function quantizeChannels(weight: F32): QuantizedTensor {
  const { shape, data } = weight;
  const scale = outputScales(weight);
  const row = data.length / shape[0];
  const values = new Int8Array(data.length);
  for (let o = 0, i = 0; o < shape[0]; o++) {
    const factor = inverse(scale.data[o]);
    for (const end = i + row; i < end; i++) values[i] = nearest(data[i] * factor);
  }
  return { values: tensor("int8", shape, values), scale };
}

/** Outputs written next to each other, so that columns stay in the cache. */
const TILE = 32;

/** A scale per output, for products: kernel positions before inputs, outputs last. @returns values [kernel·I, O], scale [O] */
export function quantizeRows(weight: F32): QuantizedTensor {
  const { shape, data } = weight;
  const [outputs, inner, ...kernel] = shape;
  const taps = sizeOf(kernel);
  const depth = inner * taps;
  const scale = outputScales(weight);
  const factors = scale.data.map(inverse);
  const values = new Int8Array(data.length);
  for (let first = 0; first < outputs; first += TILE) {
    const end = Math.min(first + TILE, outputs);
    for (let i = 0; i < inner; i++)
      for (let t = 0; t < taps; t++) {
        const to = (t * inner + i) * outputs;
        const from = i * taps + t;
        for (let o = first; o < end; o++)
          values[to + o] = nearest(data[o * depth + from] * factors[o]);
      }
  }
  return { values: tensor("int8", [depth, outputs], values), scale };
}

/** The weight of {@link quantizeRows}. @param shape [O, I, …kernel] */
export function dequantizeRows({ values, scale }: QuantizedTensor, shape: readonly number[]): F32 {
  const [outputs, inner, ...kernel] = shape;
  const taps = sizeOf(kernel);
  const data = new Float32Array(sizeOf(shape));
  for (let t = 0, at = 0; t < taps; t++)
    for (let i = 0; i < inner; i++)
      for (let o = 0; o < outputs; o++, at++)
        data[(o * inner + i) * taps + t] = values.data[at] * scale.data[o];
  return float32(shape, data);
}

/** The weight of {@link quantizeChannels}. */
export function dequantizeChannels({ values, scale }: QuantizedTensor): F32 {
  const row = values.data.length / scale.data.length;
  const data = Float32Array.from(
    values.data,
    (value, i) => value * scale.data[Math.floor(i / row)],
  );
  return float32(values.shape, data);
}

/**
 * A scale per block of a row; rows are filled up with zeros. Of two 4-bit numbers in a byte the first is the low one.
 *
 * @returns values [O, blocks, blockSize·bits/8], scale [O, blocks]
 */
export function quantizeBlocks(weight: F32, blocks: Blocks): QuantizedTensor {
  const { shape, data } = weight;
  if (shape.length !== 2) throw new InternalError(`blocks of a tensor of shape [${shape}]`);
  const [rows, depth] = shape;
  const { bits, blockSize } = blocks;
  const zero = 2 ** (bits - 1);
  const bytes = (blockSize * bits) / 8;
  const scale = blockScales(weight, blocks);
  const values = new Uint8Array(scale.data.length * bytes);
  for (let r = 0, b = 0; r < rows; r++)
    for (let first = 0; first < depth; first += blockSize, b++) {
      const from = r * depth + first;
      const block = data.subarray(from, r * depth + Math.min(first + blockSize, depth));
      const factor = inverse(scale.data[b]);
      for (let i = 0; i < blockSize; i++) {
        const number = zero + (i < block.length ? nearest(block[i] * factor) : 0);
        if (bits === 8) values[b * bytes + i] = number;
        else values[b * bytes + (i >> 1)] |= number << (4 * (i & 1));
      }
    }
  return { values: tensor("uint8", [...scale.shape, bytes], values), scale };
}

/** The weight of {@link quantizeBlocks}. @param shape [O, I] */
export function dequantizeBlocks(
  { values, scale }: QuantizedTensor,
  { bits, blockSize }: Blocks,
  shape: readonly number[],
): F32 {
  const [rows, depth] = shape;
  const [, blocks, bytes] = values.shape;
  const zero = 2 ** (bits - 1);
  const data = new Float32Array(rows * depth);
  for (let r = 0; r < rows; r++)
    for (let k = 0; k < depth; k++) {
      const b = r * blocks + Math.floor(k / blockSize);
      const i = k % blockSize;
      const byte = values.data[b * bytes + (bits === 8 ? i : i >> 1)];
      const number = bits === 8 ? byte : (byte >> (4 * (i & 1))) & 15;
      data[r * depth + k] = (number - zero) * scale.data[b];
    }
  return float32(shape, data);
}

/** The scale of each output [O]: max|w| / 127. */
export function outputScales({ shape, data }: F32): F32 {
  const row = data.length / shape[0];
  const scales = Float32Array.from(
    { length: shape[0] },
    (_, o) => largest(data.subarray(o * row, (o + 1) * row)) / LARGEST_BYTE,
  );
  return float32([shape[0]], scales);
}

/** The scale of each block [O, blocks]. */
export function blockScales({ shape, data }: F32, { bits, blockSize }: Blocks): F32 {
  const [rows, depth] = shape;
  const blocks = Math.ceil(depth / blockSize);
  const scales = Float32Array.from({ length: rows * blocks }, (_, b) => {
    const from = (b % blocks) * blockSize;
    const row = Math.floor(b / blocks) * depth;
    const block = data.subarray(row + from, row + Math.min(from + blockSize, depth));
    return largest(block) / (2 ** (bits - 1) - 1);
  });
  return float32([rows, blocks], scales);
}

function largest(values: Float32Array): number {
  let most = 0;
  for (let i = 0; i < values.length; i++) {
    const size = Math.abs(values[i]);
    if (size > most) most = size;
  }
  return most;
}

/** 1 / scale; 0 for weights that are all zero. */
function inverse(scale: number): number {
  return scale === 0 ? 0 : 1 / scale;
}

/** Halves to even, as torch and NumPy round, would change nothing that matters; this is faster. */
function nearest(value: number): number {
  return Math.floor(value + 0.5);
}
