/**
 * Layers: what parameters a piece of a network has, and its pure forward over symbolic tensors.
 *
 * A layer is plain data made by a function (`linear(4, 8)`); nothing in it knows where parameters come from.
 * That is the scope's business: constants from a checkpoint, slices of one flat training vector, or inputs.
 * Children are called by the names of the module tree, and those names, snake-cased, are the published
 * parameter names: `timeEmbedding.linear_1` holds `time_embedding.linear_1.weight`.
 */
import { isNijimiError, NijimiError } from "../errors.ts";
import { showShape } from "../graph/dim.ts";
import type { Sym } from "../graph/primitives.ts";
import type { DType } from "../tensor/dtype.ts";
import type { Initializer } from "./initializers.ts";

/** Shape and initial values of one parameter. */
export interface ParameterSpec {
  readonly shape: readonly number[];
  readonly init: Initializer;
  /** @default "float32" */
  readonly dtype?: DType;
  /** Not trained: running statistics, fixed frequencies. @default false */
  readonly buffer?: boolean;
}

/** Where a forward gets its parameters, and who listens to the calls of its layers. */
export interface Scope {
  /** The parameter at a dotted path. */
  parameter(path: string, spec: ParameterSpec): Sym;
  /**
   * Stands around every call of a layer: low-rank adapters, recorded activations, attention hooks.
   * Must call `proceed` at most once; what it returns is the layer's output.
   */
  readonly intercept?: Interceptor;
}

/** A call of a layer on its way. */
export interface LayerCall {
  /** Dotted path of the layer, e.g. `"mid_block.attentions.0.transformer_blocks.0.attn1.to_q"`. */
  readonly path: string;
  readonly layer: Layer<never, unknown>;
  readonly args: readonly unknown[];
}

export type Interceptor = (
  call: LayerCall,
  proceed: (...args: readonly unknown[]) => unknown,
) => unknown;

/** A piece of a network. */
export interface Layer<Args extends readonly unknown[], Out> {
  /** What it is, for hooks and printing: `"linear"`, `"conv2d"`, `"module"`. */
  readonly kind: string;
  /** Its parameters by path below the layer. */
  readonly parameters: Readonly<Record<string, ParameterSpec>>;
  /** The forward. `path` is where the layer stands in the model; "" for the model itself. */
  apply(scope: Scope, path: string, ...args: Args): Out;
}

/** Parameters and layers by name; arrays are numbered; undefined children are left out. */
export interface Children {
  readonly [name: string]: Child;
}
type Child = Layer<never, unknown> | ParameterSpec | Children | readonly Child[] | undefined;

/** Children as the forward sees them: layers are functions, parameters are symbolic tensors. */
export type Bound<C> =
  C extends Layer<infer Args, infer Out>
    ? (...args: Args) => Out
    : C extends ParameterSpec
      ? Sym
      : C extends readonly (infer Item)[]
        ? readonly Bound<Item>[]
        : C extends object
          ? { readonly [K in keyof C]: Bound<C[K]> }
          : C;

/**
 * A layer made of others.
 *
 * @param children layers, parameters, arrays and records of them; their names make the parameters' paths
 * @param forward pure function of the bound children and the call's arguments
 * @example
 * const mlp = module(
 *   { fc1: linear(8, 32), fc2: linear(32, 8) },
 *   (m, x: Sym) => m.fc2(gelu(m.fc1(x))),
 * );
 */
export function module<const C extends Children, Args extends readonly unknown[], Out>(
  children: C,
  forward: (m: Bound<C>, ...args: Args) => Out,
  { kind = "module" }: { readonly kind?: string } = {},
): Layer<Args, Out> {
  const parameters: Record<string, ParameterSpec> = {};
  collect(children, "", parameters);
  return {
    kind,
    parameters,
    apply: (scope, path, ...args) => forward(bind(children, scope, path) as Bound<C>, ...args),
  };
}

/** Parameter name of a child: `timeProj` → `time_proj`; `conv1`, and names with a capital first, stay. */
export function snakeCase(name: string): string {
  if (/^[A-Z]/.test(name)) return name;
  return name.replace(/(?<=[a-zA-Z0-9])[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}

/** `a.b`; either may be empty. */
export function joinPath(a: string, b: string): string {
  return a === "" ? b : b === "" ? a : `${a}.${b}`;
}

function isLayer(child: Child): child is Layer<never, unknown> {
  return child !== undefined && typeof (child as { apply?: unknown }).apply === "function";
}

function isParameter(child: Child): child is ParameterSpec {
  return child !== undefined && typeof (child as { init?: unknown }).init === "function";
}

function collect(child: Child, path: string, parameters: Record<string, ParameterSpec>): void {
  if (child === undefined) return;
  if (isParameter(child)) parameters[path] = child;
  else if (isLayer(child))
    for (const [name, spec] of Object.entries(child.parameters))
      parameters[joinPath(path, name)] = spec;
  else if (Array.isArray(child))
    child.forEach((item: Child, i) => collect(item, joinPath(path, String(i)), parameters));
  else
    for (const [name, item] of Object.entries(child as Children))
      collect(item, joinPath(path, snakeCase(name)), parameters);
}

function bind(child: Child, scope: Scope, path: string): unknown {
  if (child === undefined) return undefined;
  if (isParameter(child)) return scope.parameter(path, child);
  if (isLayer(child)) return (...args: readonly unknown[]) => call(child, scope, path, args);
  if (Array.isArray(child))
    return child.map((item: Child, i) => bind(item, scope, joinPath(path, String(i))));
  const entries = Object.entries(child as Children);
  return Object.fromEntries(
    entries.map(([name, item]) => [name, bind(item, scope, joinPath(path, snakeCase(name)))]),
  );
}

/** Calls a layer through the scope's interceptor; shape errors learn where in the model they happened. */
function call(
  layer: Layer<never, unknown>,
  scope: Scope,
  path: string,
  args: readonly unknown[],
): unknown {
  const proceed = (...given: readonly unknown[]): unknown =>
    layer.apply(scope, path, ...(given as never));
  try {
    return scope.intercept === undefined
      ? proceed(...args)
      : scope.intercept({ path, layer, args }, proceed);
  } catch (error) {
    throw located(error, path);
  }
}

const LOCATED = " In layer ";

function located(error: unknown, path: string): unknown {
  if (
    !isNijimiError(error) ||
    (error.code !== "shape" && error.code !== "dtype") ||
    error.message.includes(LOCATED)
  )
    return error;
  return new NijimiError(error.code, `${error.message}${LOCATED}${path}.`, { cause: error });
}

/** A line per parameter: path and shape. For errors and `inspect`. */
export function describeParameters(layer: Layer<never, unknown>): string {
  return Object.entries(layer.parameters)
    .map(([name, { shape }]) => `${name} ${showShape(shape)}`)
    .join("\n");
}
