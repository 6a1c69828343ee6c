/**
 * An ONNX model as plain data: what emission produces, the quantisation pass rewrites and `protobuf.ts` writes.
 * Field names follow onnx.proto.
 */
import type { DType } from "../tensor/dtype.ts";
import type { Tensor } from "../tensor/tensor.ts";

/** The standard operator set that emission targets. */
export const OPSET = 20;
/** Version of Microsoft's contributed operators, which every ONNX Runtime has. */
export const MICROSOFT = "com.microsoft";

/** An attribute with its protobuf kind; `i` and `f` cannot be told apart from the number alone. */
export type OnnxAttribute =
  | { readonly i: number }
  | { readonly f: number }
  | { readonly s: string }
  | { readonly ints: readonly number[] }
  | { readonly floats: readonly number[] }
  | { readonly tensor: Tensor }
  | { readonly graph: OnnxGraph };

export interface OnnxNode {
  readonly opType: string;
  /** "" is the standard domain. */
  readonly domain: string;
  readonly name: string;
  /** Names of values; "" leaves an optional input out. */
  readonly inputs: readonly string[];
  readonly outputs: readonly string[];
  readonly attributes: Readonly<Record<string, OnnxAttribute>>;
}

/** Weights that stay in a file: `length` bytes from `offset` of the file `location`. */
export interface ExternalData {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** File name, relative to the folder the session is given. */
  readonly location: string;
  readonly offset: number;
  readonly length: number;
}

export interface OnnxInitializer {
  readonly name: string;
  readonly value: Tensor | ExternalData;
}

export interface OnnxValueInfo {
  readonly name: string;
  readonly dtype: DType;
  /** Numbers, or names of dimensions. */
  readonly shape: readonly (number | string)[];
}

export interface OnnxGraph {
  readonly name: string;
  readonly nodes: readonly OnnxNode[];
  readonly initializers: readonly OnnxInitializer[];
  readonly inputs: readonly OnnxValueInfo[];
  readonly outputs: readonly OnnxValueInfo[];
}

export interface OnnxModel {
  readonly graph: OnnxGraph;
  /** Operator sets in use: domain to version. */
  readonly opsets: Readonly<Record<string, number>>;
}

export function isExternal(value: Tensor | ExternalData): value is ExternalData {
  return "location" in value;
}
