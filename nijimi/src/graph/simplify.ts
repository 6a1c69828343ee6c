/**
 * Simplification of a graph, one walk from inputs to outputs: dead code is never reached, equal expressions
 * become one (hash-consing), small constants are folded, identities are removed, and an attention or group
 * norm whose inner value is computed anyway (for its gradient) reuses it.
 */
import type { Tensor } from "../tensor/tensor.ts";
import { affineGroups, attentionProbabilities, groupStatistics } from "./decompose.ts";
import { dimKey, sameShape, showShape } from "./dim.ts";
import { fold } from "./fold.ts";
import { channelAffine, constant, matmul, mul, neg, reshape } from "./ops.ts";
import {
  isPrimitive,
  type PrimitiveAttributes,
  type PrimitiveName,
  type Sym,
} from "./primitives.ts";
import type { Graph } from "./trace.ts";
import { topologicalOrder } from "./traverse.ts";

/** The same graph with less to compute. Inputs stay declared, even unused ones. */
export function simplify(graph: Graph): Graph {
  const table = new Interner();
  const rebuilt = new Map<Sym, Sym>();
  for (const input of graph.inputs) rebuilt.set(input, table.intern(input));
  for (const sym of topologicalOrder(graph.outputs.map(({ value }) => value))) {
    if (rebuilt.has(sym)) continue;
    const inputs = sym.inputs.map((input) => rebuilt.get(input) as Sym);
    rebuilt.set(sym, table.intern(rewrite({ ...sym, inputs })));
  }
  const outputs = graph.outputs.map(({ name, value }) => ({
    name,
    value: rebuilt.get(value) as Sym,
  }));
  return { inputs: graph.inputs, outputs: shareInner(outputs, table) };
}

/** One symbol per expression. */
class Interner {
  readonly #known = new Map<string, Sym>();
  readonly #ids = new Map<Sym, number>();
  readonly #tensors = new Map<Tensor, number>();

  intern(sym: Sym): Sym {
    if (this.#ids.has(sym)) return sym;
    const inputs = sym.inputs.map((input) => this.intern(input));
    const own = inputs.every((input, i) => input === sym.inputs[i]) ? sym : { ...sym, inputs };
    const key = this.key(own);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    this.#known.set(key, own);
    this.#ids.set(own, this.#ids.size);
    return own;
  }

  /** The interned symbol equal to `sym`, whose inputs may not be interned; undefined when there is none. */
  find(sym: Sym): Sym | undefined {
    if (this.#ids.has(sym)) return sym;
    const candidate = rewrite({
      ...sym,
      inputs: sym.inputs.map((input) => this.find(input) ?? input),
    });
    if (this.#ids.has(candidate)) return candidate;
    const inputs = candidate.inputs.map((input) => this.find(input));
    if (inputs.includes(undefined)) return undefined;
    return this.#known.get(this.key({ ...candidate, inputs: inputs as Sym[] }));
  }

  private key(sym: Sym): string {
    const inputs = sym.inputs.map((input) => this.#ids.get(input)).join(",");
    const attributes = isPrimitive(sym, "constant")
      ? this.constantKey(sym.attributes.value)
      : attributeKey(sym.attributes);
    return `${sym.primitive}(${inputs})${attributes}`;
  }

  private constantKey(value: Tensor): string {
    if (value.data.length <= 16)
      return `${value.dtype}[${value.shape}]{${Array.from(value.data as ArrayLike<number>, showNumber)}}`;
    const id = this.#tensors.get(value) ?? this.#tensors.size;
    this.#tensors.set(value, id);
    return `#${id}`;
  }
}

function showNumber(value: number | bigint): string {
  return Object.is(value, -0) ? "-0" : String(value);
}

function attributeKey(attributes: PrimitiveAttributes[PrimitiveName]): string {
  return JSON.stringify(attributes, (_, value: unknown) =>
    typeof value === "object" && value !== null && "terms" in value && "key" in value
      ? value.key
      : value,
  );
}

/** One step of local rewriting; inputs are already rewritten. */
function rewrite(sym: Sym): Sym {
  if (isPrimitive(sym, "stopGradient")) return sym.inputs[0];
  const folded = fold(sym);
  if (folded !== undefined) return constant(folded);
  return removeIdentity(sym) ?? joinScales(sym) ?? scaledSum(sym) ?? sym;
}

/** Vectors of at least this length, those of optimisers, get {@link scaledSum}. */
const LONG_VECTOR = 65536;

/** s·x + y and y − s·x of long vectors with a scalar s: one pass over memory instead of two. */
function scaledSum(sym: Sym): Sym | undefined {
  if (!isPrimitive(sym, "add") && !isPrimitive(sym, "sub")) return undefined;
  const [length] = sym.shape;
  if (sym.shape.length !== 1 || typeof length !== "number" || length < LONG_VECTOR)
    return undefined;
  const [a, b] = sym.inputs;
  if (sym.dtype !== "float32" || !keeps(a, sym) || !keeps(b, sym)) return undefined;
  const right = scalarProduct(b);
  const left = isPrimitive(sym, "add") ? scalarProduct(a) : undefined;
  const product = right ?? left;
  if (product === undefined) return undefined;
  const { x, factor } = product;
  const row = (vector: Sym): Sym => reshape(vector, [1, 1, length]);
  const scale = reshape(isPrimitive(sym, "sub") ? neg(factor) : factor, [1, 1]);
  return reshape(channelAffine(row(x), scale, row(right === undefined ? b : a)), [length]);
}

/** x and s of a product of a tensor with a scalar. */
function scalarProduct(sym: Sym): { readonly x: Sym; readonly factor: Sym } | undefined {
  if (!isPrimitive(sym, "mul")) return undefined;
  const [a, b] = sym.inputs;
  if (b.shape.length === 0) return { x: a, factor: b };
  return a.shape.length === 0 ? { x: b, factor: a } : undefined;
}

/** (x·a)·b = x·(ab) for constant scalars. ONNX Runtime's own fusion of such chains into a product loses a node. */
function joinScales(sym: Sym): Sym | undefined {
  const outer = scaled(sym);
  const inner = outer && scaled(outer.x);
  return outer && inner && sym.dtype === "float32"
    ? mul(inner.x, Math.fround(inner.factor * outer.factor))
    : undefined;
}

/** x and the factor of a product of a tensor with a constant scalar. */
function scaled(sym: Sym): { readonly x: Sym; readonly factor: number } | undefined {
  if (!isPrimitive(sym, "mul")) return undefined;
  const [a, b] = sym.inputs;
  const factorOf = (value: Sym): number | undefined =>
    isPrimitive(value, "constant") && value.shape.length === 0
      ? Number(value.attributes.value.data[0])
      : undefined;
  const right = factorOf(b);
  if (right !== undefined) return { x: a, factor: right };
  const left = factorOf(a);
  return left === undefined ? undefined : { x: b, factor: left };
}

function removeIdentity(sym: Sym): Sym | undefined {
  const [a, b] = sym.inputs;
  if (isPrimitive(sym, "add"))
    return isFilledWith(b, 0) && keeps(a, sym)
      ? a
      : isFilledWith(a, 0) && keeps(b, sym)
        ? b
        : undefined;
  if (isPrimitive(sym, "sub")) return isFilledWith(b, 0) && keeps(a, sym) ? a : undefined;
  if (isPrimitive(sym, "mul"))
    return isFilledWith(b, 1) && keeps(a, sym)
      ? a
      : isFilledWith(a, 1) && keeps(b, sym)
        ? b
        : undefined;
  if (isPrimitive(sym, "div")) return isFilledWith(b, 1) && keeps(a, sym) ? a : undefined;
  if (isPrimitive(sym, "neg") && isPrimitive(a, "neg")) return a.inputs[0];
  if (isPrimitive(sym, "reshape")) {
    const source = isPrimitive(a, "reshape") ? a.inputs[0] : a;
    if (sameShape(source.shape, sym.shape)) return source;
    return source === a ? undefined : { ...sym, inputs: [source] };
  }
  if (isPrimitive(sym, "transpose")) {
    const { permutation } = sym.attributes;
    if (permutation.every((axis, i) => axis === i)) return a;
    if (!isPrimitive(a, "transpose")) return undefined;
    const inner = a.attributes.permutation;
    const composed: Sym<"transpose"> = {
      ...sym,
      inputs: [a.inputs[0]],
      attributes: { permutation: permutation.map((axis) => inner[axis]) },
    };
    return composed.attributes.permutation.every((axis, i) => axis === i) ? a.inputs[0] : composed;
  }
  if (isPrimitive(sym, "expand") && sameShape(a.shape, sym.shape)) return a;
  if (isPrimitive(sym, "slice")) {
    const { axis, start, end, step } = sym.attributes;
    if (step === 1 && start === 0 && dimKey(end) === dimKey(a.shape[axis])) return a;
  }
  if (
    isPrimitive(sym, "pad") &&
    sameShape(a.shape, sym.shape) &&
    sym.attributes.before.every((size) => size === 0)
  )
    return a;
  if (isPrimitive(sym, "sum") && sym.attributes.axes.length === 0) return a;
  return undefined;
}

/** True when every element of a constant is `value`, also when it is broadcast. */
function isFilledWith(sym: Sym, value: number): boolean {
  if (isPrimitive(sym, "expand")) return isFilledWith(sym.inputs[0], value);
  if (!isPrimitive(sym, "constant")) return false;
  const { data } = sym.attributes.value;
  return (
    data.length <= 16 &&
    Array.from(data as ArrayLike<number>).every((element) => Number(element) === value)
  );
}

function keeps(operand: Sym, result: Sym): boolean {
  return showShape(operand.shape) === showShape(result.shape);
}

/** A composite value written with inner values that are in the graph anyway. */
interface Shared {
  readonly inner: readonly Sym[];
  readonly rewrite: (inner: readonly Sym[], inputs: readonly Sym[]) => Sym;
}

/** How to write an attention or group norm whose inner values the graph computes (its gradient needs them). */
function sharedForm(sym: Sym, table: Interner): Shared | undefined {
  if (isPrimitive(sym, "attention")) {
    const [q, k, , mask] = sym.inputs;
    const probabilities = table.find(attentionProbabilities(q, k, mask, sym.attributes.scale));
    return (
      probabilities && {
        inner: [probabilities],
        rewrite: ([shared], [, , v]) => matmul(shared, v),
      }
    );
  }
  if (!isPrimitive(sym, "groupNorm")) return undefined;
  const statistics = groupStatistics(sym);
  const [centred, inverse] = [table.find(statistics.centred), table.find(statistics.inverse)];
  return (
    centred &&
    inverse && {
      inner: [centred, inverse],
      rewrite: ([x, factor], [, scale, bias]) =>
        affineGroups({ centred: x, inverse: factor }, scale, bias),
    }
  );
}

/** Writes attentions and group norms in their {@link sharedForm} where there is one. */
function shareInner(outputs: Graph["outputs"], table: Interner): Graph["outputs"] {
  const found = new Map<Sym, Shared>();
  const dependencies = (sym: Sym): readonly Sym[] => {
    const shared = sharedForm(sym, table);
    if (shared === undefined) return sym.inputs;
    found.set(sym, shared);
    return [...sym.inputs, ...shared.inner];
  };
  const replaced = new Map<Sym, Sym>();
  const now = (sym: Sym): Sym => replaced.get(sym) as Sym;
  for (const sym of topologicalOrder(
    outputs.map(({ value }) => value),
    dependencies,
  )) {
    const shared = found.get(sym);
    const inputs = sym.inputs.map(now);
    if (shared !== undefined) replaced.set(sym, shared.rewrite(shared.inner.map(now), inputs));
    else if (inputs.every((input, i) => input === sym.inputs[i])) replaced.set(sym, sym);
    else replaced.set(sym, { ...sym, inputs });
  }
  return outputs.map(({ name, value }) => ({ name, value: now(value) }));
}
