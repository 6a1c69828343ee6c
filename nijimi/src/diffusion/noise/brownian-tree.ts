/**
 * A Brownian path on an interval that can be asked for any increment and always gives the same
 * answer: Li et al. 2020, "Scalable Gradients for Stochastic Differential Equations"
 * (arXiv:2001.01328), §4, in the form of torchsde's `BrownianTree` (halving, Kidger et al. 2021),
 * whose values it reproduces for a seed. An interval is halved until it meets the times asked for;
 * the increment of a half is drawn from the Brownian bridge.
 */
import { NijimiError } from "../../errors.ts";
import { torchGenerator } from "../../tensor/random/torch.ts";
import { sizeOf } from "../../tensor/tensor.ts";
import { seedSequenceWords } from "./seed-sequence.ts";

/** Options of {@link brownianTree}. */
export interface BrownianTreeOptions {
  readonly shape: readonly number[];
  /** Ends of the path. */
  readonly start: number;
  readonly end: number;
  readonly seed: number | bigint;
  /** Times are rounded to this many decimals. @default 6 */
  readonly decimals?: number;
}

/** A path. */
export interface BrownianTree {
  /** W(to) − W(from) for start ≤ from ≤ to ≤ end; times outside are moved to the ends. */
  increment(from: number, to: number): Float32Array;
}

interface Node {
  readonly start: number;
  readonly end: number;
  /** Position among the nodes of its depth. */
  readonly key: bigint;
  readonly depth: number;
  readonly parent?: Node;
  split?: { readonly middle: number; readonly left: Node; readonly right: Node };
}

/** Words of torchsde's seed sequences. */
const POOL_SIZE = 24;
/** Increments kept in memory; enough for the path from the root to a leaf and its neighbours. */
const CACHE_SIZE = 64;

/**
 * The path of a seed.
 *
 * @example
 * const tree = brownianTree({ shape: [4, 64, 64], start: 0.03, end: 14.6, seed: 42 });
 * const increment = tree.increment(1, 2); // standard deviation 1
 */
export function brownianTree({
  shape,
  start,
  end,
  seed,
  decimals = 6,
}: BrownianTreeOptions): BrownianTree {
  if (!(Number.isFinite(start) && end > start))
    throw new NijimiError(
      "option",
      `brownianTree: start must be below end; got ${start} and ${end}.`,
    );
  const { fround } = Math;
  const size = sizeOf(shape);
  const rounded = (time: number) => Number(time.toFixed(decimals));
  const draw = (word: number) => torchGenerator(word).randn(shape).data;
  const root: Node = { start: rounded(start), end: rounded(end), key: 0n, depth: 0 };
  const kept = new Map<Node, Float32Array>();

  /** W over a node: the root's is drawn, a half's comes from the bridge of its parent. */
  function valueOf(node: Node): Float32Array {
    const known = kept.get(node);
    if (known) {
      kept.delete(node); // most recently used last
      kept.set(node, known);
      return known;
    }
    const value = node.parent ? bridge(node, node.parent) : rootValue();
    kept.set(node, value);
    if (kept.size > CACHE_SIZE) kept.delete(kept.keys().next().value!);
    return value;
  }

  function rootValue(): Float32Array {
    const deviation = fround(Math.sqrt(end - start));
    return draw(seedSequenceWords(seed, 1, { poolSize: POOL_SIZE })[0]).map((z) => z * deviation);
  }

  function bridge(node: Node, parent: Node): Float32Array {
    const whole = valueOf(parent);
    const { middle, left } = parent.split!;
    const length = parent.end - parent.start;
    const before = fround(middle - parent.start);
    const reciprocal = fround(1 / length);
    const deviation = fround(Math.sqrt(((middle - parent.start) * (parent.end - middle)) / length));
    const [word] = seedSequenceWords(seed, 1, {
      spawnKey: [parent.key, parent.depth],
      poolSize: POOL_SIZE,
    });
    const noise = draw(word);
    // in float32 throughout, as the published tree: short intervals are small differences of large
    // increments
    const out = new Float32Array(size);
    for (let i = 0; i < size; i++) {
      const mean = fround(fround(before * whole[i]) * reciprocal);
      const leftPart = fround(mean + fround(deviation * noise[i]));
      out[i] = node === left ? leftPart : whole[i] - leftPart;
    }
    return out;
  }

  function halve(node: Node): NonNullable<Node["split"]> {
    const middle = rounded(0.5 * (node.end + node.start));
    const child = (from: number, to: number, right: bigint): Node => ({
      start: from,
      end: to,
      key: 2n * node.key + right,
      depth: node.depth + 1,
      parent: node,
    });
    return (node.split ??= {
      middle,
      left: child(node.start, middle, 0n),
      right: child(middle, node.end, 1n),
    });
  }

  /** Nodes that together cover [from, to], whose ends are ends of nodes. */
  function cover(node: Node, from: number, to: number): Node[] {
    if (from >= to) return [];
    if (from <= node.start && to >= node.end) return [node];
    const { middle, left, right } = halve(node);
    if (middle <= node.start || middle >= node.end) return [node]; // as short as the decimals allow
    return [
      ...(from < middle ? cover(left, from, Math.min(to, middle)) : []),
      ...(to > middle ? cover(right, Math.max(from, middle), to) : []),
    ];
  }

  return {
    increment(from, to) {
      if (!(from <= to))
        throw new NijimiError("option", `increment: times must not fall; got ${from} and ${to}.`);
      const clamp = (time: number) => rounded(Math.min(Math.max(time, start), end));
      const sum = new Float32Array(size);
      for (const node of cover(root, clamp(from), clamp(to))) {
        const value = valueOf(node);
        for (let i = 0; i < size; i++) sum[i] += value[i];
      }
      return sum;
    },
  };
}
