/** Element and block types of GGML by their numbers in GGUF files (ggml.h, `enum ggml_type`). */
import type { DType } from "../../tensor/dtype.ts";
import {
  dequantizeQ2K,
  dequantizeQ3K,
  dequantizeQ4K,
  dequantizeQ5K,
  dequantizeQ6K,
} from "./k-quants.ts";
import {
  dequantizeQ40,
  dequantizeQ41,
  dequantizeQ50,
  dequantizeQ51,
  dequantizeQ80,
} from "./legacy-quants.ts";

/** Expands whole blocks to float32. */
export type Dequantize = (blocks: Uint8Array, count: number) => Float32Array;

/** A type whose elements are stored one by one. */
export interface PlainType {
  readonly name: string;
  readonly dtype: DType;
}

/** A type whose elements are stored in blocks that share scales. */
export interface BlockType {
  readonly name: string;
  /** Elements of a block. */
  readonly elements: number;
  /** Bytes of a block. */
  readonly bytes: number;
  readonly dequantize: Dequantize;
}

/** The types that are read. */
export const GGML_TYPES: Readonly<Record<number, PlainType | BlockType>> = {
  0: { name: "F32", dtype: "float32" },
  1: { name: "F16", dtype: "float16" },
  2: { name: "Q4_0", elements: 32, bytes: 18, dequantize: dequantizeQ40 },
  3: { name: "Q4_1", elements: 32, bytes: 20, dequantize: dequantizeQ41 },
  6: { name: "Q5_0", elements: 32, bytes: 22, dequantize: dequantizeQ50 },
  7: { name: "Q5_1", elements: 32, bytes: 24, dequantize: dequantizeQ51 },
  8: { name: "Q8_0", elements: 32, bytes: 34, dequantize: dequantizeQ80 },
  10: { name: "Q2_K", elements: 256, bytes: 84, dequantize: dequantizeQ2K },
  11: { name: "Q3_K", elements: 256, bytes: 110, dequantize: dequantizeQ3K },
  12: { name: "Q4_K", elements: 256, bytes: 144, dequantize: dequantizeQ4K },
  13: { name: "Q5_K", elements: 256, bytes: 176, dequantize: dequantizeQ5K },
  14: { name: "Q6_K", elements: 256, bytes: 210, dequantize: dequantizeQ6K },
  24: { name: "I8", dtype: "int8" },
  25: { name: "I16", dtype: "int16" },
  26: { name: "I32", dtype: "int32" },
  27: { name: "I64", dtype: "int64" },
  28: { name: "F64", dtype: "float64" },
  30: { name: "BF16", dtype: "bfloat16" },
};

/** Names of types that exist and are not read, for messages. */
export const OTHER_GGML_TYPES: Readonly<Record<number, string>> = {
  4: "Q4_2",
  5: "Q4_3",
  9: "Q8_1",
  15: "Q8_K",
  16: "IQ2_XXS",
  17: "IQ2_XS",
  18: "IQ3_XXS",
  19: "IQ1_S",
  20: "IQ4_NL",
  21: "IQ3_S",
  22: "IQ2_S",
  23: "IQ4_XS",
  29: "IQ1_M",
  34: "TQ1_0",
  35: "TQ2_0",
  39: "MXFP4",
};
