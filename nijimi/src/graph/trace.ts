/**
 * Tracing: running a plain function once on symbolic inputs, and keeping what it computed as a graph.
 */
import { NijimiError } from "../errors.ts";
import type { DType } from "../tensor/dtype.ts";
import { type Dim, type Shape, symbol } from "./dim.ts";
import { apply } from "./ops.ts";
import type { Sym } from "./primitives.ts";

/** What an input will be: its dtype and its shape; strings are dimensions that differ from run to run. */
export interface InputSpec<D extends DType = DType> {
  readonly dtype: D;
  readonly shape: readonly (Dim | string)[];
}

/** Nested records of `Leaf`, e.g. inputs by name. */
export type Tree<Leaf> = Leaf | { readonly [name: string]: Tree<Leaf> } | readonly Tree<Leaf>[];

interface TensorLike {
  readonly dtype: DType;
  readonly shape: readonly unknown[];
}

/** The tree `T` with its leaves (symbolic tensors or specs) replaced by `Leaf`. */
export type MapTree<T, Leaf> = T extends TensorLike
  ? Leaf
  : T extends readonly unknown[]
    ? { readonly [K in keyof T]: MapTree<T[K], Leaf> }
    : T extends object
      ? { readonly [K in keyof T]: MapTree<T[K], Leaf> }
      : T;

/** A traced computation: named inputs to named outputs. */
export interface Graph {
  readonly inputs: readonly Sym<"input">[];
  readonly outputs: readonly { readonly name: string; readonly value: Sym }[];
}

/** Declares an input of a traced function. @example spec("float32", ["batch", 4, "height", "width"]) */
export function spec<D extends DType>(dtype: D, shape: readonly (Dim | string)[]): InputSpec<D> {
  return { dtype, shape };
}

/** A symbolic input by name. */
export function input(name: string, { dtype, shape }: InputSpec): Sym<"input"> {
  const dims: Shape = shape.map((dim) => (typeof dim === "string" ? symbol(dim) : dim));
  return apply("input", [], { name, dtype, shape: dims });
}

/**
 * Runs `fn` on symbolic inputs.
 *
 * @param fn receives a tree of symbolic tensors shaped like `specs`, returns a tree of symbolic tensors
 * @returns the graph, and `structure`: the tree that `fn` returned, for giving results their shape back
 * @example
 * const { graph } = trace(({ x }) => ({ y: add(x, 1) }), { x: spec("float32", ["batch", 3]) });
 */
export function trace<Specs, Out>(
  fn: (inputs: MapTree<Specs, Sym>) => Out,
  specs: Specs,
): { readonly graph: Graph; readonly structure: Out } {
  const inputs: Sym<"input">[] = [];
  const symbols = mapTree<InputSpec, Sym>(specs as Tree<InputSpec>, isInputSpec, (leaf, name) => {
    const created = input(name || "input", leaf);
    inputs.push(created);
    return created;
  }) as MapTree<Specs, Sym>;
  const structure = fn(symbols);
  const outputs: { name: string; value: Sym }[] = [];
  mapTree<Sym, Sym>(structure as Tree<Sym>, isSym, (value, name) => {
    outputs.push({ name: outputName(name), value });
    return value;
  });
  if (outputs.length === 0)
    throw new NijimiError("option", "trace: the function returned no symbolic tensor.");
  return { graph: { inputs, outputs }, structure };
}

/** Name in the graph of the output at `path` of the returned tree. */
export function outputName(path: string): string {
  return path === "" ? "output" : `output.${path}`;
}

/** Replaces every leaf; `name` is its dotted path in the tree, "" when the tree is a single leaf. */
export function mapTree<Leaf, Result>(
  tree: Tree<Leaf>,
  isLeaf: (value: unknown) => value is Leaf,
  fn: (leaf: Leaf, name: string) => Result,
  name = "",
): Tree<Result> {
  if (isLeaf(tree)) return fn(tree, name) as Tree<Result>;
  const below = (key: string | number): string => (name === "" ? String(key) : `${name}.${key}`);
  if (Array.isArray(tree))
    return tree.map((child, i) => mapTree(child as Tree<Leaf>, isLeaf, fn, below(i)));
  if (typeof tree !== "object" || tree === null)
    throw new NijimiError(
      "option",
      `Expected a tensor or a record of them at ${JSON.stringify(name)}; got ${String(tree)}.`,
    );
  const entries = Object.entries(tree).filter(([, child]) => child !== undefined);
  return Object.fromEntries(
    entries.map(([key, child]) => [key, mapTree(child as Tree<Leaf>, isLeaf, fn, below(key))]),
  );
}

export function isSym(value: unknown): value is Sym {
  return (
    typeof value === "object" && value !== null && "primitive" in value && "attributes" in value
  );
}

function isInputSpec(value: unknown): value is InputSpec {
  return (
    typeof value === "object" &&
    value !== null &&
    "dtype" in value &&
    "shape" in value &&
    Array.isArray((value as InputSpec).shape)
  );
}
