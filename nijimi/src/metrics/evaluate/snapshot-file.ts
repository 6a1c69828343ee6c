/**
 * Snapshots as files: their numbers as tensors of a safetensors file, everything else as JSON in one of bytes.
 */
import { parseJson } from "../../checkpoints/json.ts";
import { parseSafetensors, writeSafetensors } from "../../checkpoints/safetensors.ts";
import { NijimiError } from "../../errors.ts";
import type { DType } from "../../tensor/dtype.ts";
import { type Tensor, tensor } from "../../tensor/tensor.ts";
import type { Snapshot } from "./types.ts";

/** Stands in the JSON where an array of numbers was. */
const MARK = "$tensor";
const JSON_NAME = "snapshot.json";

const DTYPES: readonly (readonly [new (length: number) => ArrayBufferView, DType])[] = [
  [Float64Array, "float64"],
  [Float32Array, "float32"],
  [Uint32Array, "uint32"],
  [Uint8Array, "uint8"],
];

/** A snapshot's bytes. */
export function encodeSnapshot(snapshot: Snapshot): Uint8Array {
  const tensors: Record<string, Tensor> = {};
  const json = JSON.stringify(snapshot, (_, value: unknown) => {
    const dtype = DTYPES.find(([Type]) => value instanceof Type)?.[1];
    if (dtype === undefined) return value;
    const data = value as Float64Array;
    const name = `t${Object.keys(tensors).length}`;
    tensors[name] = tensor(dtype, [data.length], data as never);
    return { [MARK]: name };
  });
  const text = new TextEncoder().encode(json);
  return writeSafetensors({ ...tensors, [JSON_NAME]: tensor("uint8", [text.length], text) });
}

/** @throws NijimiError `format` for other files */
export function decodeSnapshot(bytes: Uint8Array): Snapshot {
  const tensors = parseSafetensors(bytes, "snapshot of an evaluation");
  const text = tensors[JSON_NAME];
  if (text === undefined)
    throw new NijimiError(
      "format",
      "The file is no snapshot of an evaluation; delete it to start anew.",
    );
  const json = parseJson(new TextDecoder().decode(text.data as Uint8Array));
  return revive(json, tensors) as unknown as Snapshot;
}

function revive(value: unknown, tensors: Readonly<Record<string, Tensor>>): unknown {
  if (typeof value !== "object" || value === null) return value;
  if (Array.isArray(value)) return value.map((item) => revive(item, tensors));
  const entries = Object.entries(value);
  if (entries.length === 1 && entries[0][0] === MARK)
    return (tensors[entries[0][1] as string].data as Float64Array).slice();
  return Object.fromEntries(entries.map(([key, item]) => [key, revive(item, tensors)]));
}
