/**
 * Emission: a graph of primitives as an ONNX model, one rule per primitive (`rules/`).
 *
 * Parameters become initializers where a binding gives their values and graph inputs where it does not.
 */
import { dimKey, type Shape } from "../graph/dim.ts";
import { isPrimitive, type PrimitiveName, type Sym } from "../graph/primitives.ts";
import type { Graph } from "../graph/trace.ts";
import { topologicalOrder } from "../graph/traverse.ts";
import { NijimiError } from "../errors.ts";
import type { DType } from "../tensor/dtype.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { Emitter, type EmitOptions } from "./emitter.ts";
import {
  type ExternalData,
  OPSET,
  type OnnxModel,
  type OnnxNode,
  type OnnxValueInfo,
} from "./model.ts";
import { ONNX_DTYPES } from "./protobuf.ts";
import { CONVOLUTION } from "./rules/convolution.ts";
import { ELEMENTWISE } from "./rules/elementwise.ts";
import { LAYOUT } from "./rules/layout.ts";
import { NETWORK } from "./rules/network.ts";
import { QUANTIZED } from "./rules/quantized.ts";
import type { EmitRule } from "./rules/rule.ts";

type Emitted = Exclude<PrimitiveName, "input" | "parameter">;

const RULES = {
  ...ELEMENTWISE,
  ...LAYOUT,
  ...CONVOLUTION,
  ...NETWORK,
  ...QUANTIZED,
} as const satisfies {
  readonly [P in Emitted]: EmitRule<P>;
};

/** Where the values of parameters come from: memory, a file, or (undefined) an input of the graph. */
export type Bindings = Readonly<Record<string, Tensor | ExternalData>>;

/**
 * Writes a graph as an ONNX model.
 *
 * @param bindings values of parameters by name
 * @throws NijimiError `shape` when a binding's shape is not the parameter's
 */
export function emit(graph: Graph, bindings: Bindings = {}, options: EmitOptions = {}): OnnxModel {
  const emitter = new Emitter(options);
  const inputs: OnnxValueInfo[] = [];
  for (const input of graph.inputs) {
    const { name, dtype, shape } = input.attributes;
    emitter.declareInput(input, name);
    inputs.push({ name, dtype, shape: showDims(shape) });
  }
  for (const sym of topologicalOrder(graph.outputs.map(({ value }) => value))) {
    if (isPrimitive(sym, "input")) continue;
    if (isPrimitive(sym, "parameter"))
      inputs.push(...bindParameter(emitter, sym, bindings[sym.attributes.name]));
    else {
      const rule = RULES[sym.primitive as Emitted] as EmitRule<PrimitiveName>;
      emitter.bind(
        sym,
        rule(
          emitter,
          sym,
          sym.inputs.map((value) => emitter.name(value)),
        ),
      );
    }
  }
  const { nodes, outputs } = nameOutputs(graph, emitter);
  const opsets = {
    "": OPSET,
    ...Object.fromEntries([...emitter.domains].map((domain) => [domain, 1])),
  };
  return {
    graph: {
      name: "nijimi",
      nodes,
      initializers: emitter.initializers,
      inputs,
      outputs,
    },
    opsets,
  };
}

/**
 * Gives the graph's outputs their names. A node's value takes the name of the output it is, which saves a copy of
 * what is both an output and used in the graph; inputs, initializers and second names need an Identity.
 */
function nameOutputs(
  graph: Graph,
  emitter: Emitter,
): { readonly nodes: readonly OnnxNode[]; readonly outputs: readonly OnnxValueInfo[] } {
  const computed = new Set(emitter.nodes.flatMap((node) => node.outputs));
  const renamed = new Map<string, string>();
  const copies: OnnxNode[] = [];
  for (const { name, value } of graph.outputs) {
    const inner = emitter.name(value);
    if (computed.has(inner) && !renamed.has(inner)) renamed.set(inner, name);
    else
      copies.push({
        opType: "Identity",
        domain: "",
        name: `to_${name}`,
        inputs: [inner],
        outputs: [name],
        attributes: {},
      });
  }
  const current = (name: string): string => renamed.get(name) ?? name;
  const nodes = [...emitter.nodes, ...copies].map((node) => ({
    ...node,
    inputs: node.inputs.map(current),
    outputs: node.outputs.map(current),
  }));
  const outputs = graph.outputs.map(({ name, value }) => ({
    name,
    dtype: value.dtype,
    shape: showDims(value.shape),
  }));
  return { nodes, outputs };
}

/** Binds a parameter; returns the graph input it needs when it has no value. */
function bindParameter(
  emitter: Emitter,
  sym: Sym<"parameter">,
  value: Tensor | ExternalData | undefined,
): OnnxValueInfo[] {
  const { name, shape, dtype } = sym.attributes;
  const at = `w.${name}`;
  if (value === undefined) {
    emitter.bind(sym, at);
    return [{ name: at, dtype, shape }];
  }
  if (value.shape.length !== shape.length || value.shape.some((dim, i) => dim !== shape[i]))
    throw new NijimiError("shape", `Parameter ${name}: got [${value.shape}]; expected [${shape}].`);
  emitter.initializers.push({ name: at, value });
  emitter.bind(sym, converted(emitter, at, value.dtype, dtype));
  return [];
}

/** Weights stored in another dtype are converted when the session is made. */
function converted(emitter: Emitter, name: string, from: DType, to: DType): string {
  return from === to ? name : emitter.node("Cast", [name], { to: { i: ONNX_DTYPES[to] } });
}

function showDims(shape: Shape): (number | string)[] {
  return shape.map((dim) => (typeof dim === "number" ? dim : dimKey(dim)));
}
