/**
 * Weights of a checkpoint's component as bindings of a graph: those that lie densely in a file are left there for
 * the runtime to read, the others are read here.
 */
import { mergeDeltas, type WeightedDelta } from "../../checkpoints/adapters/delta.ts";
import type { Entry, Location } from "../../checkpoints/checkpoint.ts";
import type { Component } from "../../checkpoints/layouts/component.ts";
import type { Bindings } from "../../onnx/emit.ts";
import type { CompileOptions } from "../../runtime/compile.ts";
import { cast } from "../../tensor/convert.ts";
import { bytesPerElement } from "../../tensor/dtype.ts";
import { sizeOf } from "../../tensor/tensor.ts";

/** Where networks run and how. */
export interface RuntimeOptions extends Pick<
  CompileOptions,
  "device" | "threads" | "worker" | "cacheFolder" | "frugal"
> {
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
 * Bindings of the parameters `names`.
 *
 * @param merged adapters to add to parameters, in float32
 */
export async function bindWeights(
  { entries }: Pick<Component, "entries">,
  names: readonly string[],
  { copyWeights = false }: RuntimeOptions,
  merged: MergedDeltas = {},
): Promise<Pick<CompileOptions, "parameters" | "weightsFolder">> {
  const present = names.filter((name) => name in entries);
  const places = new Map(
    present.flatMap((name) => {
      const place = name in merged ? undefined : placeOf(entries[name].location);
      return place === undefined ? [] : [[name, place] as const];
    }),
  );
  const [weightsFolder] = [...places.values()].map(({ folder }) => folder);
  const stays = (name: string) => places.get(name)?.folder === weightsFolder;
  const inside = present.reduce((sum, name) => sum + (stays(name) ? 0 : bytesOf(entries[name])), 0);
  const copiesAll = copyWeights || weightsFolder === undefined || inside > LARGEST_INSIDE;

  const parameters: Record<string, Bindings[string]> = {};
  for (const name of present) {
    const { dtype, shape } = entries[name];
    const place = places.get(name);
    if (place && stays(name) && !copiesAll) parameters[name] = { dtype, shape, ...place.range };
    else {
      const value = await entries[name].read();
      parameters[name] =
        name in merged ? await mergeDeltas(cast(value, "float32"), merged[name]) : value;
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
