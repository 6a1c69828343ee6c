/** The scopes of a forward: where its parameters come from. */
import { NijimiError } from "../errors.ts";
import { parameter, reshape, slice } from "../graph/ops.ts";
import type { Sym } from "../graph/primitives.ts";
import { sizeOf } from "../tensor/tensor.ts";
import type { Interceptor, Layer, ParameterSpec, Scope } from "./layer.ts";

/** Options common to all scopes. */
export interface ScopeOptions {
  readonly intercept?: Interceptor;
  /** Put before every path, for several networks in one graph. @default "" */
  readonly prefix?: string;
}

/**
 * Parameters by name: `compile` binds them to a checkpoint's weights.
 *
 * @example
 * const run = await compile(({ x }) => net.apply(parameterScope(), "", x), { x: spec("float32", ["n", 4]) }, { parameters });
 */
export function parameterScope({ intercept, prefix = "" }: ScopeOptions = {}): Scope {
  const made = new Map<string, Sym>();
  return {
    intercept,
    parameter(path, { shape, dtype = "float32" }) {
      const name = prefix + path;
      const known = made.get(name) ?? parameter(name, shape, dtype);
      made.set(name, known);
      return known;
    },
  };
}

/** Parameters from a record of symbolic tensors, for gradients with respect to them. */
export function recordScope(
  record: Readonly<Record<string, Sym>>,
  { intercept, prefix = "" }: ScopeOptions = {},
): Scope {
  return {
    intercept,
    parameter(path) {
      const found = record[prefix + path];
      if (found === undefined)
        throw new NijimiError(
          "checkpoint",
          `Parameter ${prefix + path} is missing; given: ${Object.keys(record).length} others.`,
        );
      return found;
    },
  };
}

/** Where each parameter lies in a flat vector. */
export interface FlatLayout {
  readonly entries: Readonly<
    Record<string, { readonly offset: number; readonly shape: readonly number[] }>
  >;
  /** Number of elements in all. */
  readonly size: number;
}

/** The layout of a model's trained parameters, in the order of its tree. Buffers are left out. */
export function flatLayout(parameters: Readonly<Record<string, ParameterSpec>>): FlatLayout {
  const entries: Record<string, { offset: number; shape: readonly number[] }> = {};
  let size = 0;
  for (const [name, { shape, buffer }] of Object.entries(parameters)) {
    if (buffer === true) continue;
    entries[name] = { offset: size, shape };
    size += sizeOf(shape);
  }
  return { entries, size };
}

/** The tensors of a layout as views of a flat symbolic vector. */
export function unflatten(flat: Sym, layout: FlatLayout): Record<string, Sym> {
  return Object.fromEntries(
    Object.entries(layout.entries).map(([name, { offset, shape }]) => [
      name,
      reshape(slice(flat, 0, offset, offset + sizeOf(shape)), shape),
    ]),
  );
}

/** The number of values a model holds, buffers included. */
export function parameterCount(layer: Layer<never, unknown>): number {
  return Object.values(layer.parameters).reduce((total, { shape }) => total + sizeOf(shape), 0);
}
