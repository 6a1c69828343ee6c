/**
 * A sample of bounded size from a stream of feature vectors, for metrics that need pairs of samples: the `limit` rows
 * whose names have the smallest hashes ("bottom-k" sampling). Which rows are kept depends neither on the order of the
 * stream nor on how it was divided between processes.
 */
import { NijimiError } from "../errors.ts";
import { float32, type Tensor } from "../tensor/tensor.ts";
import { hashText } from "./hash.ts";
import { matrixOf } from "./matrix.ts";
import type { StreamingMetric } from "./streaming.ts";

/** Rows with their names, which must differ. */
export interface NamedRows {
  /** [N, D] */
  readonly rows: Tensor;
  readonly names: readonly string[];
}

export interface FeatureSample {
  /** [K, D], in the order of the names' hashes. */
  readonly rows: Tensor<"float32">;
  readonly names: readonly string[];
  /** Rows in the stream. */
  readonly seen: number;
}

/** State of {@link featureSample}: kept rows in slots, with a heap whose first slot has the largest hash. */
export interface FeatureSampleState {
  seen: number;
  /** [capacity, D] */
  rows: Float32Array;
  names: string[];
  /** Hash of each slot's name, 53 bits. */
  hashes: number[];
  /** Slots as a heap. */
  heap: number[];
}

/**
 * Keeps at most `limit` rows of `dimensions` numbers in float32.
 *
 * @param options.seed which rows are kept @default 0
 */
export function featureSample(
  dimensions: number,
  limit: number,
  { seed = 0 }: { readonly seed?: number } = {},
): StreamingMetric<NamedRows, FeatureSampleState, FeatureSample> {
  const offer = (state: FeatureSampleState, name: string, row: Float32Array): void => {
    const hash = hashText(name, seed) * 2 ** 21 + (hashText(name, seed + 1) >>> 11);
    if (state.names.length < limit) addRow(state, name, hash, row);
    else if (hash < state.hashes[state.heap[0]]) replaceLargest(state, name, hash, row);
  };
  return {
    start: () => ({ seen: 0, rows: new Float32Array(0), names: [], hashes: [], heap: [] }),
    add: (state, { rows, names }) => {
      const { rows: count, columns, data } = matrixOf(rows, "features");
      if (columns !== dimensions || names.length !== count)
        throw new NijimiError(
          "shape",
          `featureSample: got [${rows.shape}] and ${names.length} names; expected [N, ${dimensions}] and N names.`,
        );
      for (let i = 0; i < count; i++)
        offer(state, names[i], Float32Array.from(data.subarray(i * columns, (i + 1) * columns)));
      state.seen += count;
      return state;
    },
    merge: (a, b) => {
      b.names.forEach((name, slot) =>
        offer(a, name, b.rows.subarray(slot * dimensions, (slot + 1) * dimensions)),
      );
      a.seen += b.seen;
      return a;
    },
    finish: ({ seen, rows, names, hashes }) => {
      const order = names.map((_, slot) => slot).sort((a, b) => hashes[a] - hashes[b]);
      const out = new Float32Array(order.length * dimensions);
      order.forEach((slot, to) =>
        out.set(rows.subarray(slot * dimensions, (slot + 1) * dimensions), to * dimensions),
      );
      return {
        rows: float32([order.length, dimensions], out),
        names: order.map((slot) => names[slot]),
        seen,
      };
    },
  };
}

function addRow(state: FeatureSampleState, name: string, hash: number, row: Float32Array): void {
  const slot = state.names.length;
  const needed = (slot + 1) * row.length;
  if (needed > state.rows.length) {
    const grown = new Float32Array(Math.max(needed, 2 * state.rows.length));
    grown.set(state.rows);
    state.rows = grown;
  }
  state.rows.set(row, slot * row.length);
  state.names.push(name);
  state.hashes.push(hash);
  state.heap.push(slot);
  siftUp(state, slot);
}

function replaceLargest(
  state: FeatureSampleState,
  name: string,
  hash: number,
  row: Float32Array,
): void {
  const slot = state.heap[0];
  state.rows.set(row, slot * row.length);
  state.names[slot] = name;
  state.hashes[slot] = hash;
  siftDown(state);
}

function siftUp({ heap, hashes }: FeatureSampleState, from: number): void {
  for (let at = from; at > 0;) {
    const parent = (at - 1) >> 1;
    if (hashes[heap[parent]] >= hashes[heap[at]]) return;
    [heap[parent], heap[at]] = [heap[at], heap[parent]];
    at = parent;
  }
}

function siftDown({ heap, hashes }: FeatureSampleState): void {
  for (let at = 0; ;) {
    let largest = at;
    for (const child of [2 * at + 1, 2 * at + 2])
      if (child < heap.length && hashes[heap[child]] > hashes[heap[largest]]) largest = child;
    if (largest === at) return;
    [heap[at], heap[largest]] = [heap[largest], heap[at]];
    at = largest;
  }
}
