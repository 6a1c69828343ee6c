/**
 * `compile`: a plain function over symbolic tensors becomes an async function over host tensors.
 */
import { loadEngine } from "#runtime";
import { NijimiError } from "../errors.ts";
import { evaluateDim, showShape, termsOf } from "../graph/dim.ts";
import { isPrimitive, type Sym } from "../graph/primitives.ts";
import { simplify } from "../graph/simplify.ts";
import {
  isSym,
  mapTree,
  outputName,
  trace,
  type Graph,
  type MapTree,
  type Tree,
} from "../graph/trace.ts";
import { topologicalOrder } from "../graph/traverse.ts";
import { emit, type Bindings } from "../onnx/emit.ts";
import type { Tensor } from "../tensor/tensor.ts";
import { bytesOverflow } from "./bytes-overflow.ts";
import { createSession, type SessionOptions } from "./session.ts";

/** Options of {@link compile}. */
export interface CompileOptions extends SessionOptions {
  /** Values of the parameters by name, in memory or in files. Parameters without a value become inputs of `run`. */
  readonly parameters?: Bindings;
  /** Changes the traced graph, e.g. to products with quantised weights. @default as traced */
  readonly rewrite?: (graph: Graph) => Graph;
}

/** A compiled function. Call it; `dispose` gives its memory back. */
export interface Compiled<Inputs, Outputs> {
  (inputs: Inputs): Promise<Outputs>;
  readonly graph: Graph;
  dispose(): Promise<void>;
}

/**
 * Traces, simplifies, writes and loads `fn`.
 *
 * Inputs whose shape names a dimension (`"batch"`) take any size there, run by run, in one session.
 *
 * @param fn pure function from a tree of symbolic tensors to a tree of symbolic tensors
 * @param inputs a tree of {@link spec}s with the same structure as the argument of `fn`
 * @throws NijimiError `shape`, `dtype` while tracing; `device`, `runtime` while loading
 * @example
 * const double = await compile(({ x }) => mul(x, 2), { x: spec("float32", ["n"]) });
 * const y = await double({ x: float32([3], [1, 2, 3]) }); // 2, 4, 6
 * await double.dispose();
 */
export async function compile<Specs, Out>(
  fn: (inputs: MapTree<Specs, Sym>) => Out,
  inputs: Specs,
  options: CompileOptions = {},
): Promise<Compiled<MapTree<Specs, Tensor>, MapTree<Out, Tensor>>> {
  const { graph: traced, structure } = trace(fn, inputs);
  const graph = simplify(options.rewrite?.(traced) ?? traced);
  const { device } = options;
  const model = emit(graph, options.parameters, {
    device,
    blockedChannels: await blocks(device),
    bytesOverflow: hasIntegers(graph) && (await bytesOverflow(device)),
  });
  const session = await createSession(model, options);
  const run = async (given: MapTree<Specs, Tensor>): Promise<MapTree<Out, Tensor>> => {
    const feeds = checkInputs(graph, flatten(given as Tree<Tensor>));
    const results = await session.run(feeds);
    return mapTree<Sym, Tensor>(
      structure as Tree<Sym>,
      isSym,
      (_, name) => results[outputName(name)],
    ) as MapTree<Out, Tensor>;
  };
  return Object.assign(run, { graph, dispose: () => session.dispose() });
}

function hasIntegers({ outputs }: Graph): boolean {
  return topologicalOrder(outputs.map(({ value }) => value)).some(
    (sym) => isPrimitive(sym, "integerMatmul") || isPrimitive(sym, "integerConv"),
  );
}

/** Channels in a block of the engine's blocked convolution, on devices that have it. */
async function blocks(device: SessionOptions["device"]): Promise<number | undefined> {
  if (device !== undefined && device !== "cpu") return undefined;
  const engine = await loadEngine();
  return engine.devices[0] === "cpu" ? engine.blockedChannels?.() : undefined;
}

function isTensor(value: unknown): value is Tensor {
  return (
    typeof value === "object" &&
    value !== null &&
    "dtype" in value &&
    "data" in value &&
    "shape" in value
  );
}

function flatten(tree: Tree<Tensor>): Record<string, Tensor> {
  const flat: Record<string, Tensor> = {};
  mapTree<Tensor, Tensor>(tree, isTensor, (value, name) => (flat[name || "input"] = value));
  return flat;
}

/** Refuses missing, unknown and misshapen inputs before the runtime sees them. */
function checkInputs(
  graph: Graph,
  given: Readonly<Record<string, Tensor>>,
): Record<string, Tensor> {
  const names = graph.inputs.map(({ attributes }) => attributes.name);
  const unknown = Object.keys(given).filter((name) => !names.includes(name));
  if (unknown.length > 0)
    throw new NijimiError(
      "option",
      `Unknown input ${unknown.join(", ")}; expected ${names.join(", ")}.`,
    );
  const sizes: Record<string, number> = {};
  for (const { attributes } of graph.inputs) {
    const { name, dtype, shape } = attributes;
    const value = given[name];
    if (value === undefined)
      throw new NijimiError(
        "option",
        `Input "${name}" is missing; expected ${dtype}${showShape(shape)}.`,
      );
    if (value.dtype !== dtype)
      throw new NijimiError("dtype", `Input "${name}": got ${value.dtype}; expected ${dtype}.`);
    const fits =
      value.shape.length === shape.length &&
      shape.every((dim, i) => fitsDim(dim, value.shape[i], sizes));
    if (!fits)
      throw new NijimiError(
        "shape",
        `Input "${name}": got [${value.shape}]; expected ${showShape(shape)}${showSizes(sizes)}.`,
      );
  }
  return { ...given };
}

/** True when `size` can be the dimension, given the sizes known so far; a first use of a name fixes its size. */
function fitsDim(
  dim: number | Sym["shape"][number],
  size: number,
  sizes: Record<string, number>,
): boolean {
  if (typeof dim === "number") return dim === size;
  const [term, ...more] = termsOf(dim);
  const [atom] = term.atoms;
  if (
    more.length === 0 &&
    term.atoms.length === 1 &&
    atom.kind === "symbol" &&
    sizes[atom.name] === undefined
  ) {
    sizes[atom.name] = size / term.coefficient;
    return Number.isInteger(sizes[atom.name]);
  }
  return evaluateDim(dim, sizes) === size;
}

function showSizes(sizes: Readonly<Record<string, number>>): string {
  const known = Object.entries(sizes).map(([name, size]) => `${name} = ${size}`);
  return known.length === 0 ? "" : ` with ${known.join(", ")}`;
}
