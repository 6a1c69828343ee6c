/**
 * Weights of a checkpoint's component as bindings of a graph: those that lie densely in a file are left there for
 * the runtime to read, the others are read here.
 */
import { mergeDeltas, type WeightedDelta } from "../../checkpoints/adapters/delta.ts";
import type { Entry, Location } from "../../checkpoints/checkpoint.ts";
import type { Component } from "../../checkpoints/layouts/component.ts";
import { QUANTIZED_PRECISIONS } from "../../checkpoints/quantized/policy.ts";
import { type QuantizedForm, quantizeWeights } from "../../graph/quantize-weights.ts";
import type { Bindings } from "../../onnx/emit.ts";
import type { CompileOptions } from "../../runtime/compile.ts";
import { cast } from "../../tensor/convert.ts";
import { bytesPerElement } from "../../tensor/dtype.ts";
import { sizeOf, type Tensor } from "../../tensor/tensor.ts";

/**
 * How weights are held and multiplied.
 *
 * - `float32`: as floats of 32 bits.
 * - `stored`: those of 16 bits stay so in memory and become 32 when they are used: slower, half the memory.
 * - the others: quantised, see `QUANTIZED_PRECISIONS`.
 */
export const PRECISIONS = ["float32", "stored", ...QUANTIZED_PRECISIONS] as const;

export type Precision = (typeof PRECISIONS)[number];

/** Where networks run and how. */
export interface RuntimeOptions extends Pick<
  CompileOptions,
  "device" | "threads" | "worker" | "cacheFolder" | "frugal"
> {
  /** @default "float32"; quantised checkpoints keep theirs */
  readonly precision?: Precision;
  /** Read weights in JavaScript even where the runtime could read the file. @default false */
  readonly copyWeights?: boolean;
}

/** Adapters that no pair of factors can hold, by the parameter they are merged into. */
export type MergedDeltas = Readonly<Record<string, readonly WeightedDelta[]>>;

/** The session's part of the options. */
export function sessionOptions({
  device,
  threads,
  worker,
  cacheFolder,
  frugal,
}: RuntimeOptions): CompileOptions {
  return { device, threads, worker, cacheFolder, frugal };
}

/** Weights that must be in memory beside others that stay in files travel inside the graph, which has 2 GB. */
const LARGEST_INSIDE = 1.5e9;

/**
 * Bindings of the parameters `names`, and the change to the graph that quantised ones need.
 *
 * @param merged adapters to add to parameters, in float32
 */
export async function bindWeights(
  { entries }: Pick<Component, "entries">,
  names: readonly string[],
  options: RuntimeOptions,
  merged: MergedDeltas = {},
): Promise<Pick<CompileOptions, "parameters" | "weightsFolder" | "rewrite">> {
  const forms: Record<string, QuantizedForm> = {};
  const needed = new Map<string, Entry>();
  for (const name of names.filter((own) => own in entries)) {
    const entry = entries[name];
    const form = name in merged ? undefined : formInMemory(name, entry, options);
    if (form !== undefined) forms[name] = form;
    if (form === undefined || entry.quantized === undefined) needed.set(name, entry);
    else {
      needed.set(`${name}.values`, entry.quantized.values);
      needed.set(`${name}.scale`, entry.quantized.scale);
    }
  }
  const bindings = await bindEntries(needed, options, merged);
  if (Object.keys(forms).length === 0) return bindings;
  const { device } = options;
  const integers = device === undefined || device === "cpu" || device === "wasm";
  return { ...bindings, rewrite: (graph) => quantizeWeights(graph, forms, { integers }) };
}

/** How a weight is held, where that is not as floats of 32 bits. */
function formInMemory(
  name: string,
  { dtype, shape, quantized }: Entry,
  { precision }: RuntimeOptions,
): QuantizedForm | undefined {
  if (quantized !== undefined) return quantized.form;
  const isHalf = dtype === "float16" || dtype === "bfloat16";
  const isFactor = shape.length === 4 || (shape.length === 2 && !name.endsWith("embedding.weight"));
  return precision === "stored" && isHalf && isFactor ? { form: "halves", dtype } : undefined;
}

async function bindEntries(
  entries: ReadonlyMap<string, Entry>,
  { copyWeights = false, precision }: RuntimeOptions,
  merged: MergedDeltas,
): Promise<Pick<CompileOptions, "parameters" | "weightsFolder">> {
  const places = new Map(
    [...entries].flatMap(([name, { location }]) => {
      const place = name in merged ? undefined : placeOf(location);
      return place === undefined ? [] : [[name, place] as const];
    }),
  );
  const [weightsFolder] = [...places.values()].map(({ folder }) => folder);
  const stays = (name: string) => places.get(name)?.folder === weightsFolder;
  const inside = [...entries].reduce(
    (sum, [name, entry]) => sum + (stays(name) ? 0 : bytesOf(entry)),
    0,
  );
  const copiesAll = copyWeights || weightsFolder === undefined || inside > LARGEST_INSIDE;

  const parameters: Record<string, Bindings[string]> = {};
  for (const [name, entry] of entries) {
    const { dtype, shape } = entry;
    const place = places.get(name);
    if (place && stays(name) && !copiesAll) parameters[name] = { dtype, shape, ...place.range };
    else {
      const value = await entry.read();
      // The engine in browsers has no bfloat16.
      const isForeign = value.dtype === "bfloat16" && precision !== "stored";
      const floats = isForeign || name in merged ? cast(value, "float32") : value;
      parameters[name] =
        name in merged ? await mergeDeltas(floats as Tensor<"float32">, merged[name]) : floats;
    }
  }
  return copiesAll ? { parameters } : { parameters, weightsFolder };
}

function bytesOf({ dtype, shape }: Entry): number {
  return bytesPerElement(dtype) * sizeOf(shape);
}

/** A location as folder and file. bfloat16 and others are read by the runtime as they are. */
function placeOf(location: Location | undefined) {
  const [, folder, file] = /^(.*)[\\/]([^\\/]+)$/.exec(location?.file ?? "") ?? [];
  if (location === undefined || file === undefined) return undefined;
  const { offset, length } = location;
  return { folder: folder === "" ? "/" : folder, range: { location: file, offset, length } };
}
