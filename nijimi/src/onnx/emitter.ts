/**
 * What emission rules write with: names for values, nodes, constants, and symbolic dimensions computed in
 * the graph from the inputs' shapes.
 */
import { InternalError } from "../errors.ts";
import {
  type Dim,
  type DimAtom,
  type DimExpression,
  dimKey,
  isStatic,
  sameDim,
  type Shape,
  termsOf,
} from "../graph/dim.ts";
import type { Sym } from "../graph/primitives.ts";
import { float32, int64, type Tensor } from "../tensor/tensor.ts";
import { MICROSOFT, type OnnxAttribute, type OnnxInitializer, type OnnxNode } from "./model.ts";

type Attributes = Readonly<Record<string, OnnxAttribute>>;

/** How to lower a graph. */
export interface EmitOptions {
  /** Only operators of the standard domain, for any ONNX runtime. @default false */
  readonly portable?: boolean;
  /** Device that the graph is for, where its kernels need care: `"webgpu"`. */
  readonly device?: string;
  /** Channels in a block of the runtime's blocked convolution; none where it has no such kernel. */
  readonly blockedChannels?: number;
  /** Sums of products of unsigned and signed bytes overflow on this processor. @default false */
  readonly bytesOverflow?: boolean;
}

/** Collects the nodes and initializers of one graph. */
export class Emitter {
  readonly portable: boolean;
  readonly device: string | undefined;
  readonly blockedChannels: number | undefined;
  readonly bytesOverflow: boolean;
  readonly nodes: OnnxNode[] = [];
  readonly initializers: OnnxInitializer[] = [];
  readonly domains = new Set<string>();
  readonly #names = new Map<Sym, string>();
  readonly #constants = new Map<string, string>();
  readonly #dims = new Map<string, string>();
  readonly #symbols = new Map<
    string,
    { readonly input: string; readonly axis: number; readonly factor: number }
  >();
  #next = 0;

  constructor({
    portable = false,
    device,
    blockedChannels,
    bytesOverflow = false,
  }: EmitOptions = {}) {
    this.portable = portable;
    this.device = device;
    this.blockedChannels = blockedChannels;
    this.bytesOverflow = bytesOverflow;
  }

  /** True on ONNX Runtime's CPU kernels, for which some lowerings were measured. */
  get onMlas(): boolean {
    return this.device === undefined || this.device === "cpu" || this.device === "wasm";
  }

  /** The value name of an emitted symbol. */
  name(sym: Sym): string {
    const name = this.#names.get(sym);
    if (name === undefined)
      throw new InternalError(`emission: ${sym.primitive} was used before it was emitted`);
    return name;
  }

  bind(sym: Sym, name: string): void {
    this.#names.set(sym, name);
  }

  /** Registers a graph input, whose symbolic dimensions become known through it. */
  declareInput(sym: Sym<"input">, name: string): void {
    this.bind(sym, name);
    sym.shape.forEach((dim, axis) => {
      const [term, ...more] = termsOf(dim);
      if (more.length > 0 || term?.atoms.length !== 1 || term.atoms[0].kind !== "symbol") return;
      const known = this.#symbols.get(term.atoms[0].name);
      if (known === undefined || term.coefficient < known.factor)
        this.#symbols.set(term.atoms[0].name, { input: name, axis, factor: term.coefficient });
    });
  }

  /** Adds a node with one output and returns the output's name. */
  node(
    opType: string,
    inputs: readonly string[],
    attributes: Attributes = {},
    domain = "",
  ): string {
    return this.nodeWithOutputs(opType, inputs, 1, attributes, domain)[0];
  }

  /** Adds a node with several outputs. */
  nodeWithOutputs(
    opType: string,
    inputs: readonly string[],
    outputs: number,
    attributes: Attributes = {},
    domain = "",
  ): string[] {
    const id = this.#next++;
    const names = Array.from({ length: outputs }, (_, i) =>
      outputs === 1 ? `v${id}` : `v${id}_${i}`,
    );
    this.nodes.push({
      opType,
      domain,
      name: `${opType}_${id}`,
      inputs,
      outputs: names,
      attributes,
    });
    if (domain !== "") this.domains.add(domain);
    return names;
  }

  /** A node of Microsoft's domain; never in portable graphs. */
  contrib(opType: string, inputs: readonly string[], attributes: Attributes = {}): string {
    if (this.portable)
      throw new InternalError(`emission: ${opType} of ${MICROSOFT} in a portable graph`);
    return this.node(opType, inputs, attributes, MICROSOFT);
  }

  /** A constant; small equal ones are shared. */
  constant(value: Tensor): string {
    const key =
      value.data.length <= 64
        ? `${value.dtype}[${value.shape}]${Array.from(value.data as ArrayLike<number>, (x) => (Object.is(x, -0) ? "-0" : String(x)))}`
        : undefined;
    const known = key === undefined ? undefined : this.#constants.get(key);
    if (known !== undefined) return known;
    const name = `c${this.#next++}`;
    this.initializers.push({ name, value });
    if (key !== undefined) this.#constants.set(key, name);
    return name;
  }

  /** A float32 scalar. */
  scalar(value: number): string {
    return this.constant(float32([], [value]));
  }

  /** An int64 vector. */
  ints(values: readonly number[]): string {
    return this.constant(int64([values.length], values));
  }

  /** A shape as an int64 vector: a constant when known, else joined from the dimensions. */
  shape(shape: Shape): string {
    if (isStatic(shape)) return this.ints(shape);
    const runs: string[] = [];
    let known: number[] = [];
    const flush = (): void => {
      if (known.length > 0) runs.push(this.ints(known));
      known = [];
    };
    for (const dim of shape) {
      if (typeof dim === "number") known.push(dim);
      else {
        flush();
        runs.push(this.dim(dim));
      }
    }
    flush();
    return runs.length === 1 ? runs[0] : this.node("Concat", runs, { axis: { i: 0 } });
  }

  /** Target of a reshape of `from`: −1 and 0 where they say it without computing. */
  reshapeTarget(from: Shape, to: Shape): string {
    if (isStatic(to)) return this.ints(to);
    const copied = to.map((dim, i) =>
      typeof dim !== "number" && i < from.length && sameDim(dim, from[i]) ? 0 : dim,
    );
    const open = copied.filter((dim) => typeof dim !== "number");
    if (open.length === 1)
      return this.ints(copied.map((dim) => (typeof dim === "number" ? dim : -1)));
    return open.length === 0 ? this.ints(copied as number[]) : this.shape(to);
  }

  /** A dimension as an int64 vector of one element. */
  dim(dim: Dim): string {
    if (typeof dim === "number") return this.ints([dim]);
    const known = this.#dims.get(dim.key);
    if (known !== undefined) return known;
    const name = this.expression(dim);
    this.#dims.set(dim.key, name);
    return name;
  }

  private expression(dim: DimExpression): string {
    const terms = dim.terms.map(({ coefficient, atoms }) => {
      const factors = atoms.map((atom) => this.atom(atom));
      if (coefficient !== 1 || factors.length === 0) factors.push(this.ints([coefficient]));
      return factors.reduce((product, factor) => this.node("Mul", [product, factor]));
    });
    return terms.reduce((total, term) => this.node("Add", [total, term]));
  }

  private atom(atom: DimAtom): string {
    if (atom.kind === "floor")
      return this.node("Div", [this.dim(atom.dividend), this.ints([atom.divisor])]);
    const source = this.#symbols.get(atom.name);
    if (source === undefined)
      throw new InternalError(
        `emission: no input has the dimension ${dimKey({ terms: [], key: atom.name })}`,
      );
    const key = `#${atom.name}`;
    const known = this.#dims.get(key);
    if (known !== undefined) return known;
    const size = this.node("Shape", [source.input], {
      start: { i: source.axis },
      end: { i: source.axis + 1 },
    });
    const name = source.factor === 1 ? size : this.node("Div", [size, this.ints([source.factor])]);
    this.#dims.set(key, name);
    return name;
  }
}
