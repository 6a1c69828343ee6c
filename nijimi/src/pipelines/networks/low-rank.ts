/**
 * LoRA (arXiv:2106.09685) as inputs of the graph: y = W·x + up·(down·x), so that another strength or another
 * adapter is another input, not another session. Modules that have (or had) an adapter are the sites of a session;
 * the rank of each is a dimension that may differ from run to run, and the strength is multiplied into `up`.
 *
 * Adapters that no pair of factors can hold (LoHa, LoKr, DoRA, differences) are merged into the weights instead.
 */
import type { LowRankDelta, WeightDelta, WeightedDelta } from "../../checkpoints/adapters/delta.ts";
import { add, conv2d, full, matmul } from "../../graph/ops.ts";
import type { Sym } from "../../graph/primitives.ts";
import { type InputSpec, spec } from "../../graph/trace.ts";
import type { Interceptor, Layer, ParameterSpec, Scope } from "../../nn/layer.ts";
import { toFloat32 } from "../../tensor/convert.ts";
import { float32, sizeOf, type Tensor, zeros } from "../../tensor/tensor.ts";
import type { MergedDeltas } from "./weights.ts";

type F32 = Tensor<"float32">;

/** Deltas of one adapter for one network, by parameter, and how strongly they are meant. */
export interface ActiveDeltas {
  /** Tells adapters apart, e.g. their path. */
  readonly id: string;
  readonly deltas: Readonly<Record<string, WeightDelta>>;
  readonly strength: number;
}

/** What is active in one network. */
export interface AdapterLoad {
  /** Factors by module path. */
  readonly lowRank: Readonly<Record<string, readonly LowRankTerm[]>>;
  readonly merged: MergedDeltas;
  /** Identity of `merged`, strengths included. */
  readonly mergedKey: string;
}

interface LowRankTerm {
  readonly delta: LowRankDelta;
  readonly strength: number;
}

/** Shape of the weight of each module that has low-rank inputs, by module path. */
export type LowRankSites = Readonly<Record<string, readonly number[]>>;

/** The two factors of a site: down [rank, in, …kernel]; up [rank, out], for convolutions [out, rank, 1, 1]. */
export interface Factors<T> {
  readonly down: T;
  readonly up: T;
}

/** No adapters. */
export const NO_ADAPTERS: AdapterLoad = { lowRank: {}, merged: {}, mergedKey: "" };

const WEIGHT = ".weight";

/** Sorts what is active into factors and what must be merged. A strength of 0 is not active. */
export function adapterLoad(
  active: readonly ActiveDeltas[],
  parameters: Readonly<Record<string, ParameterSpec>>,
): AdapterLoad {
  const byParameter = new Map<string, { id: string; term: WeightedDelta }[]>();
  for (const { id, deltas, strength } of active)
    for (const [name, delta] of Object.entries(deltas))
      if (strength !== 0 && name in parameters)
        byParameter.set(name, [
          ...(byParameter.get(name) ?? []),
          { id, term: { delta, strength } },
        ]);
  const lowRank: Record<string, LowRankTerm[]> = {};
  const merged: Record<string, WeightedDelta[]> = {};
  const keys: string[] = [];
  for (const [name, found] of byParameter) {
    const factors = found.flatMap(({ term: { delta, strength } }) =>
      delta.kind === "low-rank" && delta.magnitude === undefined ? [{ delta, strength }] : [],
    );
    if (factors.length === found.length && takesFactors(name, parameters[name].shape))
      lowRank[name.slice(0, -WEIGHT.length)] = factors;
    else {
      merged[name] = found.map(({ term }) => term);
      keys.push(`${name}:${found.map(({ id, term }) => `${id}*${term.strength}`).join("+")}`);
    }
  }
  return { lowRank, merged, mergedKey: keys.sort().join("|") };
}

/** Linear layers and convolutions; a table of embeddings has the shape of a linear layer. */
function takesFactors(name: string, { length }: readonly number[]): boolean {
  return (
    name.endsWith(WEIGHT) && (length === 2 || length === 4) && !name.endsWith("embedding.weight")
  );
}

/** Sites of a load. */
export function sitesOf(
  { lowRank }: AdapterLoad,
  parameters: Readonly<Record<string, ParameterSpec>>,
): LowRankSites {
  return Object.fromEntries(
    Object.keys(lowRank).map((path) => [path, parameters[path + WEIGHT].shape]),
  );
}

/** Inputs of a session with these sites. */
export function lowRankSpecs(sites: LowRankSites): Record<string, Factors<InputSpec<"float32">>> {
  return Object.fromEntries(
    Object.entries(sites).map(([path, [outputs, ...inner]], i) => {
      const rank = `rank_${i}`;
      const up = inner.length === 1 ? [rank, outputs] : [outputs, rank, 1, 1];
      return [path, { down: spec("float32", [rank, ...inner]), up: spec("float32", up) }];
    }),
  );
}

/** Adds up·(down·x) to the output of every site. */
export function lowRankInterceptor(inputs: Readonly<Record<string, Factors<Sym>>>): Interceptor {
  return ({ path, layer, args }, proceed) => {
    const y = proceed(...args);
    if (!Object.hasOwn(inputs, path)) return y;
    const { down, up } = inputs[path];
    const narrow = withWeight(layer, down, args[0] as Sym);
    const wide = up.shape.length === 2 ? matmul(narrow, up) : conv2d(narrow, up);
    return add(y as Sym, wide);
  };
}

/** The layer itself, stride and padding included, with another weight and no bias. */
function withWeight(layer: Layer<never, unknown>, weight: Sym, x: Sym): Sym {
  const scope: Scope = {
    parameter: (path) => (path === "weight" ? weight : full([weight.shape[0]], 0)),
  };
  return layer.apply(scope, "", ...([x] as never)) as Sym;
}

/** Values of the inputs. A site without an adapter gets factors of zeros with rank 1. */
export async function lowRankInputs(
  sites: LowRankSites,
  { lowRank }: AdapterLoad,
): Promise<Record<string, Factors<F32>>> {
  const inputs: Record<string, Factors<F32>> = {};
  for (const [path, shape] of Object.entries(sites))
    inputs[path] = await siteFactors(shape, lowRank[path] ?? []);
  return inputs;
}

async function siteFactors(
  [outputs, ...inner]: readonly number[],
  terms: readonly LowRankTerm[],
): Promise<Factors<F32>> {
  const isLinear = inner.length === 1;
  const upShape = (rank: number) => (isLinear ? [rank, outputs] : [outputs, rank, 1, 1]);
  if (terms.length === 0)
    return { down: zeros("float32", [1, ...inner]), up: zeros("float32", upShape(1)) };
  const ranks = terms.map(({ delta }) => delta.up.shape[1]);
  const rank = ranks.reduce((sum, own) => sum + own, 0);
  const down = new Float32Array(rank * sizeOf(inner));
  const up = new Float32Array(rank * outputs);
  let first = 0;
  for (const [i, { delta, strength }] of terms.entries()) {
    down.set(await readDown(delta), first * sizeOf(inner));
    const values = toFloat32(await delta.up.read()); // [out, ranks[i]]
    for (let o = 0; o < outputs; o++)
      for (let r = 0; r < ranks[i]; r++) {
        const at = isLinear ? (first + r) * outputs + o : o * rank + first + r;
        up[at] = values[o * ranks[i] + r] * delta.scale * strength;
      }
    first += ranks[i];
  }
  return { down: float32([rank, ...inner], down), up: float32(upShape(rank), up) };
}

/** The lower factor, with a core multiplied into it: down'[p, i, k] = Σ_q mid[p, q, k]·down[q, i]. */
async function readDown({ down, mid }: LowRankDelta): Promise<Float32Array> {
  const values = toFloat32(await down.read());
  if (mid === undefined) return values;
  const [p, q, ...kernel] = mid.shape;
  const taps = sizeOf(kernel);
  const inputs = values.length / q;
  const core = toFloat32(await mid.read());
  const result = new Float32Array(p * inputs * taps);
  for (let a = 0; a < p; a++)
    for (let b = 0; b < q; b++)
      for (let i = 0; i < inputs; i++)
        for (let k = 0; k < taps; k++)
          result[(a * inputs + i) * taps + k] +=
            core[(a * q + b) * taps + k] * values[b * inputs + i];
  return result;
}
