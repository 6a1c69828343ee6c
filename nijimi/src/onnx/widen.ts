/**
 * Half-precision weights of a model as float32 ones. The runtime would convert them when it loads the model, and hold
 * both forms at once; a model that is widened before holds one.
 */
import type { DType } from "../tensor/dtype.ts";
import { type ExternalData, isExternal, type OnnxModel } from "./model.ts";
import { ONNX_DTYPES } from "./protobuf.ts";

/** Weights in a file that become float32. */
export interface HalfWeight {
  /** Name of the initializer. */
  readonly name: string;
  readonly value: ExternalData & { readonly dtype: "float16" | "bfloat16" };
  /** Name of its conversion's result. */
  readonly wide: string;
}

const HALVES: readonly DType[] = ["float16", "bfloat16"];

/** Weights in files that the model only converts to float32. */
export function halfWeights({ graph }: OnnxModel): readonly HalfWeight[] {
  const uses = new Map<string, number>();
  const casts = new Map<string, string>();
  for (const { opType, inputs, outputs, attributes } of graph.nodes) {
    for (const input of inputs) uses.set(input, (uses.get(input) ?? 0) + 1);
    const { to } = attributes;
    if (opType === "Cast" && "i" in to && to.i === ONNX_DTYPES.float32)
      casts.set(inputs[0], outputs[0]);
  }
  return graph.initializers.flatMap(({ name, value }) => {
    const wide = casts.get(name);
    const isHalf = isExternal(value) && HALVES.includes(value.dtype);
    return isHalf && wide !== undefined && uses.get(name) === 1
      ? [{ name, value: value as HalfWeight["value"], wide }]
      : [];
  });
}

/**
 * The model with its weights elsewhere, without the conversions that are no longer needed.
 *
 * @param places where each initializer in a file lies now; float32 for those of `halves`
 */
export function relocateWeights(
  { graph, opsets }: OnnxModel,
  halves: readonly HalfWeight[],
  places: ReadonlyMap<string, ExternalData>,
): OnnxModel {
  const wide = new Map(halves.map((half) => [half.name, half.wide]));
  return {
    opsets,
    graph: {
      ...graph,
      nodes: graph.nodes.filter(({ inputs }) => !wide.has(inputs[0])),
      initializers: graph.initializers.map(({ name, value }) => ({
        name: wide.get(name) ?? name,
        value: places.get(name) ?? value,
      })),
    },
  };
}
