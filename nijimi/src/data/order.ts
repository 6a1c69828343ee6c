/**
 * The order of samples: a function of seed and epoch alone, so that any place in it can be reached without what came
 * before. An indexed set is permuted as a whole. A streamed set is permuted by shards, and the stream they make is
 * cut into blocks that are permuted in memory.
 */
import { NijimiError } from "../errors.ts";
import { deriveSeed } from "../tensor/random/derive.ts";
import { mt19937 } from "../tensor/random/mt19937.ts";
import type { Dataset, IndexedDataset, RawSample, StreamedDataset } from "./sample.ts";
import { isMixture } from "./sources/derived.ts";

export interface OrderOptions {
  readonly seed: number | bigint;
  readonly epoch: number;
  /** @default true */
  readonly shuffle?: boolean;
  /** Samples of a streamed set that are permuted together, in memory. @default 1024 */
  readonly block?: number;
}

/** Samples of one epoch by their position in it. Positions are asked for in rising order, more or less. */
export interface EpochReader {
  /** Whether the epoch has a sample at this position. */
  has(position: number): Promise<boolean>;
  /** Key of the sample at a position, where it is known without reading; its file may then be missing. */
  key(position: number): string | undefined;
  /** The sample at a position that exists. */
  read(position: number): Promise<RawSample>;
  /** Another sample for a position whose own is broken: the same one whenever it is asked for. */
  substitute(position: number, attempt: number): Promise<RawSample>;
  close(): Promise<void>;
}

/** The numbers 0 … n − 1, each once, in an order drawn from the seed (Fisher–Yates). */
export function permutation(seed: bigint, n: number): Uint32Array {
  const engine = mt19937(seed);
  const order = Uint32Array.from({ length: n }, (_, i) => i);
  for (let i = n - 1; i > 0; i--) {
    // 53 bits for the choice: no bias worth speaking of, whatever n.
    const j = Math.floor((engine.low53() / 2 ** 53) * (i + 1));
    const value = order[i];
    order[i] = order[j];
    order[j] = value;
  }
  return order;
}

/** Indices of an epoch of an indexed set, in their order. */
export function epochOrder(dataset: IndexedDataset, options: OrderOptions): Uint32Array {
  const { seed, epoch, shuffle = true } = options;
  const indices = isMixture(dataset) ? mixtureIndices(dataset.parts, seed, epoch) : undefined;
  const size = indices?.length ?? dataset.size;
  const order = shuffle
    ? permutation(deriveSeed(seed, "order", epoch), size)
    : Uint32Array.from({ length: size }, (_, i) => i);
  return indices ? order.map((i) => indices[i]) : order;
}

/** For each part the samples of this epoch: the part's permutations one after the other, cut into epochs. */
function mixtureIndices(
  parts: readonly { readonly start: number; readonly size: number; readonly perEpoch: number }[],
  seed: number | bigint,
  epoch: number,
): Uint32Array {
  const rows = parts.map(({ start, size, perEpoch }, part) => {
    const first = epoch * perEpoch;
    const out = new Uint32Array(perEpoch);
    let round = -1;
    let order = new Uint32Array();
    for (let i = 0; i < perEpoch; i++) {
      const needed = Math.floor((first + i) / size);
      if (needed !== round)
        order = permutation(
          deriveSeed(seed, "part", part, needed),
          size,
        ) as Uint32Array<ArrayBuffer>;
      round = needed;
      out[i] = start + order[(first + i) % size];
    }
    return out;
  });
  return Uint32Array.from(rows.flatMap((row) => [...row]));
}

/** Opens an epoch of a set. */
export function readEpoch(dataset: Dataset, options: OrderOptions): EpochReader {
  return dataset.kind === "indexed"
    ? readIndexed(dataset, options)
    : readStreamed(dataset, options);
}

function readIndexed(dataset: IndexedDataset, options: OrderOptions): EpochReader {
  if (dataset.size === 0) throw new NijimiError("file", `${dataset.name} is empty.`);
  const order = epochOrder(dataset, options);
  return {
    has: async (position) => position < order.length,
    key: (position) => dataset.key(order[position]),
    read: (position) => dataset.read(order[position]),
    substitute: (position, attempt) =>
      dataset.read(order[drawPosition(options, position, attempt, order.length)]),
    close: async () => {},
  };
}

/** Where the substitute for a position is taken from. */
function drawPosition(
  { seed, epoch }: OrderOptions,
  position: number,
  attempt: number,
  size: number,
): number {
  return Number(deriveSeed(seed, "substitute", epoch, position, attempt) % BigInt(size));
}

function readStreamed(dataset: StreamedDataset, options: OrderOptions): EpochReader {
  const { block: size = 1024 } = options;
  const blocks = blockReader(dataset, options, size);
  const blockOf = (position: number) => blocks.load(Math.floor(position / size));
  return {
    has: async (position) => position % size < (await blockOf(position)).length,
    key: () => undefined,
    read: async (position) => (await blockOf(position))[position % size],
    substitute: async (position, attempt) => {
      const block = await blockOf(position);
      return block[drawPosition(options, position, attempt, block.length)];
    },
    close: blocks.close,
  };
}

interface BlockReader {
  load(index: number): Promise<readonly RawSample[]>;
  close(): Promise<void>;
}

/** Reads block after block of the stream and keeps the last two. An earlier block starts the stream again. */
function blockReader(dataset: StreamedDataset, options: OrderOptions, size: number): BlockReader {
  const { seed, epoch, shuffle = true } = options;
  const kept = new Map<number, Promise<readonly RawSample[]>>();
  let stream: AsyncIterator<RawSample> | undefined;
  let next = 0;
  let queue: Promise<unknown> = Promise.resolve();

  async function read(index: number): Promise<readonly RawSample[]> {
    if (!stream || index !== next) {
      await stream?.return?.();
      stream = streamFrom(dataset, options, index * size);
    }
    next = index + 1;
    const block: RawSample[] = [];
    while (block.length < size) {
      const { done, value } = await stream.next();
      if (done) break;
      block.push(value);
    }
    if (!shuffle) return block;
    return Array.from(
      permutation(deriveSeed(seed, "block", epoch, index), block.length),
      (i) => block[i],
    );
  }

  return {
    load(index) {
      let block = kept.get(index);
      if (!block) {
        // One after the other: the blocks come from one stream.
        block = queue.then(() => read(index));
        queue = block.catch(() => {});
        kept.set(index, block);
        for (const old of kept.keys()) if (kept.size > 2 && old !== index) kept.delete(old);
      }
      return block;
    },
    close: async () => {
      await queue;
      await stream?.return?.();
    },
  };
}

/** The samples of an epoch from a position on. Shards of known size are skipped without being read. */
async function* streamFrom(
  dataset: StreamedDataset,
  options: OrderOptions,
  start: number,
): AsyncGenerator<RawSample> {
  const { seed, epoch, shuffle = true } = options;
  const order = shuffle
    ? permutation(deriveSeed(seed, "shards", epoch), dataset.shards)
    : Uint32Array.from({ length: dataset.shards }, (_, i) => i);
  let skip = start;
  for (const shard of order) {
    const known = dataset.shardSize(shard);
    if (known !== undefined && skip >= known) {
      skip -= known;
      continue;
    }
    for await (const sample of dataset.stream(shard)) {
      if (skip > 0) skip--;
      else yield sample;
    }
  }
}
