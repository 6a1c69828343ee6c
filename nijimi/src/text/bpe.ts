/**
 * Byte-pair encoding (Sennrich et al. 2016, arXiv:1508.07909): the adjacent pair with the lowest rank is merged,
 * until no pair of the word has a rank.
 *
 * Works on ids; O(n log n) in the length of a word, so that a text without spaces is no attack.
 */

/** A vocabulary and its merges. */
export interface Bpe {
  /** Token by id. */
  readonly tokens: readonly string[];
  /** Id by token. */
  readonly ids: ReadonlyMap<string, number>;
  /** By the left part's id: the right part's id → rank. Small keys in many maps are several times faster than pairs in one. */
  readonly ranks: readonly (ReadonlyMap<number, number> | undefined)[];
  /** Rank → id of the merged token. */
  readonly merged: readonly number[];
}

/** A merge: the ids of both parts and of the whole. */
export type Merge = readonly [left: number, right: number, whole: number];

/** A BPE from its vocabulary and its merges in order; of equal merges the last counts. */
export function createBpe(tokens: readonly string[], merges: readonly Merge[]): Bpe {
  const ranks: (Map<number, number> | undefined)[] = Array(tokens.length);
  merges.forEach(([left, right], rank) => (ranks[left] ??= new Map()).set(right, rank));
  return {
    tokens,
    ids: new Map(tokens.map((token, id) => [token, id])),
    ranks,
    merged: merges.map(([, , whole]) => whole),
  };
}

/** A part of a word after merging: its id, and how many of the word's first symbols it covers. */
export interface Piece {
  readonly id: number;
  readonly length: number;
}

/** Merges a word, given as the ids of its symbols. */
export function mergeWord({ ranks, merged }: Bpe, symbols: readonly number[]): Piece[] {
  const n = symbols.length;
  const id = Int32Array.from(symbols);
  const length = new Int32Array(n).fill(1); // 0: merged into the one before
  const previous = Int32Array.from(symbols, (_, i) => i - 1);
  const rankAt = (i: number): number | undefined =>
    i + length[i] < n ? ranks[id[i]]?.get(id[i + length[i]]) : undefined;
  const queue = createQueue(3 * n); // rank · n + position; each of fewer than n merges adds two at most
  const consider = (i: number): void => {
    const rank = rankAt(i);
    if (rank !== undefined) queue.push(rank * n + i);
  };
  for (let i = 0; i < n; i++) consider(i);
  while (queue.size() > 0) {
    const first = queue.pop();
    const i = first % n;
    const rank = (first - i) / n;
    if (length[i] === 0 || rankAt(i) !== rank) continue; // outdated by another merge
    const next = i + length[i];
    length[i] += length[next];
    length[next] = 0;
    id[i] = merged[rank];
    if (i + length[i] < n) previous[i + length[i]] = i;
    if (previous[i] >= 0) consider(previous[i]);
    consider(i);
  }
  const pieces: Piece[] = [];
  for (let i = 0; i < n; i += length[i]) pieces.push({ id: id[i], length: length[i] });
  return pieces;
}

/** A priority queue of numbers, smallest first: a binary heap. */
function createQueue(capacity: number): {
  push(value: number): void;
  pop(): number;
  size(): number;
} {
  const heap = new Float64Array(capacity);
  let size = 0;
  return {
    size: () => size,
    push(value) {
      let at = size++;
      while (at > 0) {
        const parent = (at - 1) >> 1;
        if (heap[parent] <= value) break;
        heap[at] = heap[parent];
        at = parent;
      }
      heap[at] = value;
    },
    pop() {
      const top = heap[0];
      const last = heap[--size];
      let at = 0;
      for (let child = 1; child < size; child = 2 * at + 1) {
        if (child + 1 < size && heap[child + 1] < heap[child]) child++;
        if (heap[child] >= last) break;
        heap[at] = heap[child];
        at = child;
      }
      heap[at] = last;
      return top;
    },
  };
}
