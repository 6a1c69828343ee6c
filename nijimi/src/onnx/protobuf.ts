/**
 * ONNX models as protobuf bytes: just the messages of onnx.proto that emission uses, written directly.
 * Field numbers are those of onnx.proto (IR version 10).
 */
import { InternalError, NijimiError } from "../errors.ts";
import { bytesPerElement, type DType } from "../tensor/dtype.ts";
import type { Tensor } from "../tensor/tensor.ts";
import {
  type ExternalData,
  isExternal,
  type OnnxAttribute,
  type OnnxGraph,
  type OnnxModel,
  type OnnxNode,
  type OnnxValueInfo,
} from "./model.ts";

const IR_VERSION = 9;
/** Protobuf's own limit. */
const LARGEST_MESSAGE = 2 ** 31 - 1;

/** TensorProto.DataType. */
export const ONNX_DTYPES: Readonly<Record<DType, number>> = {
  float32: 1,
  uint8: 2,
  int8: 3,
  uint16: 4,
  int16: 5,
  int32: 6,
  int64: 7,
  bool: 9,
  float16: 10,
  float64: 11,
  uint32: 12,
  uint64: 13,
  bfloat16: 16,
  float8_e4m3fn: 17,
  float8_e5m2: 19,
};

/**
 * Serialises a model.
 *
 * @throws NijimiError `memory` above protobuf's 2 GB; large weights belong into external data
 */
export function encodeModel({ graph, opsets }: OnnxModel): Uint8Array {
  const opsetImports = Object.entries(opsets).map(([domain, version]) =>
    message(8, [...(domain === "" ? [] : [text(1, domain)]), integer(2, version)]),
  );
  const root = part([
    integer(1, IR_VERSION),
    text(2, "nijimi"),
    message(7, graphFields(graph)),
    ...opsetImports,
  ]);
  if (root.size > LARGEST_MESSAGE)
    throw new NijimiError(
      "memory",
      `The ONNX graph is ${root.size} bytes; protobuf allows ${LARGEST_MESSAGE}. Give large weights as external data.`,
    );
  const bytes = new Uint8Array(root.size);
  const end = root.write(bytes, 0);
  if (end !== bytes.length)
    throw new InternalError(`protobuf: wrote ${end} of ${bytes.length} bytes`);
  return bytes;
}

function graphFields({ name, nodes, initializers, inputs, outputs }: OnnxGraph): Part[] {
  return [
    ...nodes.map((node) => message(1, nodeFields(node))),
    text(2, name),
    ...initializers.map(({ name: weight, value }) => message(5, tensorFields(weight, value))),
    ...inputs.map((info) => message(11, valueFields(info))),
    ...outputs.map((info) => message(12, valueFields(info))),
  ];
}

function nodeFields({ inputs, outputs, name, opType, attributes, domain }: OnnxNode): Part[] {
  return [
    ...inputs.map((input) => text(1, input)),
    ...outputs.map((output) => text(2, output)),
    text(3, name),
    text(4, opType),
    ...Object.entries(attributes).map(([key, value]) => message(5, attributeFields(key, value))),
    ...(domain === "" ? [] : [text(7, domain)]),
  ];
}

function attributeFields(name: string, attribute: OnnxAttribute): Part[] {
  const named = text(1, name);
  if ("f" in attribute) return [named, float(2, attribute.f), integer(20, 1)];
  if ("i" in attribute) return [named, integer(3, attribute.i), integer(20, 2)];
  if ("s" in attribute) return [named, text(4, attribute.s), integer(20, 3)];
  if ("tensor" in attribute)
    return [named, message(5, tensorFields("", attribute.tensor)), integer(20, 4)];
  if ("graph" in attribute)
    return [named, message(6, graphFields(attribute.graph)), integer(20, 5)];
  if ("floats" in attribute)
    return [named, ...attribute.floats.map((value) => float(7, value)), integer(20, 6)];
  return [named, ...attribute.ints.map((value) => integer(8, value)), integer(20, 7)];
}

function tensorFields(name: string, value: Tensor | ExternalData): Part[] {
  const head = [
    ...value.shape.map((dim) => integer(1, dim)),
    integer(2, ONNX_DTYPES[value.dtype]),
    text(8, name),
  ];
  if (!isExternal(value)) return [...head, bytes(9, rawBytes(value))];
  const entries = {
    location: value.location,
    offset: String(value.offset),
    length: String(value.length),
  };
  const external = Object.entries(entries).map(([key, entry]) =>
    message(13, [text(1, key), text(2, entry)]),
  );
  return [...head, ...external, integer(14, 1)];
}

/** The tensor's elements as little-endian bytes, sharing its memory. */
export function rawBytes({ data, dtype }: Tensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.length * bytesPerElement(dtype));
}

function valueFields({ name, dtype, shape }: OnnxValueInfo): Part[] {
  const dims = shape.map((dim) =>
    message(1, [typeof dim === "number" ? integer(1, dim) : text(2, dim)]),
  );
  const tensorType = message(1, [integer(1, ONNX_DTYPES[dtype]), message(2, dims)]);
  return [text(1, name), message(2, [tensorType])];
}

// ---- wire format --------------------------------------------------------------------------------------

/** A piece whose size is known before it is written. */
interface Part {
  readonly size: number;
  write(target: Uint8Array, at: number): number;
}

const VARINT = 0;
const LENGTH_DELIMITED = 2;
const FIXED32 = 5;

function part(children: readonly Part[]): Part {
  const size = children.reduce((total, child) => total + child.size, 0);
  return {
    size,
    write: (target, at) => children.reduce((position, child) => child.write(target, position), at),
  };
}

function message(field: number, children: readonly Part[]): Part {
  const body = part(children);
  const head = prefix(field, body.size);
  return {
    size: head.length + body.size,
    write: (target, at) => body.write(target, copy(head, target, at)),
  };
}

function bytes(field: number, content: Uint8Array): Part {
  const head = prefix(field, content.length);
  return {
    size: head.length + content.length,
    write: (target, at) => copy(content, target, copy(head, target, at)),
  };
}

function text(field: number, value: string): Part {
  return bytes(field, new TextEncoder().encode(value));
}

function integer(field: number, value: number): Part {
  const encoded = Uint8Array.from([
    ...varint(BigInt((field << 3) | VARINT)),
    ...varint(BigInt.asUintN(64, BigInt(value))),
  ]);
  return { size: encoded.length, write: (target, at) => copy(encoded, target, at) };
}

function float(field: number, value: number): Part {
  const encoded = new Uint8Array(5);
  encoded[0] = (field << 3) | FIXED32;
  new DataView(encoded.buffer).setFloat32(1, value, true);
  return { size: 5, write: (target, at) => copy(encoded, target, at) };
}

function prefix(field: number, length: number): Uint8Array {
  return Uint8Array.from([
    ...varint(BigInt((field << 3) | LENGTH_DELIMITED)),
    ...varint(BigInt(length)),
  ]);
}

function copy(source: Uint8Array, target: Uint8Array, at: number): number {
  target.set(source, at);
  return at + source.length;
}

function varint(value: bigint): number[] {
  const out: number[] = [];
  let rest = value;
  while (rest > 127n) {
    out.push(Number(rest & 127n) | 128);
    rest >>= 7n;
  }
  out.push(Number(rest));
  return out;
}
