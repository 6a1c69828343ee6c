/**
 * Batches of prepared pictures, epoch after epoch. What a batch holds depends only on the options and its place
 * (epoch, index in it): not on what was loaded before, nor on how many workers load. Broken pictures are replaced by
 * others of the set, so that a batch is always full, and named.
 */
import { NijimiError } from "../errors.ts";
import { deriveSeed } from "../tensor/random/derive.ts";
import { int64, tensor, type Tensor } from "../tensor/tensor.ts";
import { readEpoch, type EpochReader } from "./order.ts";
import type { Dataset, Raster, RawSample } from "./sample.ts";
import { outputSize, type ImageOptions } from "./transform/options.ts";
import { checkImageOptions, prepare, type Prepared } from "./transform/transform.ts";

/** A place in the sequence of batches: the one that comes next. Kept in checkpoints. */
export interface DataPosition {
  readonly epoch: number;
  readonly batch: number;
}

export interface Batch {
  /** Where this batch is; `next` is where to go on. */
  readonly position: DataPosition;
  readonly next: DataPosition;
  /** [B, C, H, W], −1…1. */
  readonly images: Tensor<"float32">;
  /** Second pictures: [B, C, H, W] in −1…1, or class indices [B, 1, H, W] for masks. */
  readonly targets?: Tensor<"float32">;
  /** [B], when every sample has one. */
  readonly labels?: Tensor<"int64">;
  /** When at least one sample has one; "" for those without. */
  readonly captions?: readonly string[];
  readonly keys: readonly string[];
  readonly metadata: readonly (Readonly<Record<string, unknown>> | undefined)[];
  /** Samples that could not be read or decoded, and were replaced. */
  readonly broken: readonly BrokenSample[];
}

export interface BrokenSample {
  readonly key: string;
  readonly reason: string;
}

/** Pixels of an encoded picture; rejects when it is broken. */
export type DecodeImage = (bytes: Uint8Array) => Promise<Raster>;

export interface BatchOptions {
  readonly batchSize: number;
  readonly image: ImageOptions;
  /** Decides order and augmentation. @default 0 */
  readonly seed?: number | bigint;
  /** @default true */
  readonly shuffle?: boolean;
  /** Samples of a streamed set that are shuffled together. @default 1024 */
  readonly block?: number;
  /** Leave out the last batch of an epoch when it is not full. @default true */
  readonly dropLast?: boolean;
  /** Epochs to go through, counted from 0. @default Infinity */
  readonly epochs?: number;
  /** This process of several that share every batch: they take consecutive parts of `count` × batchSize samples. */
  readonly rank?: { readonly index: number; readonly count: number };
  /** Only every `step`-th batch, beginning at `offset` after the first. */
  readonly every?: { readonly step: number; readonly offset: number };
  readonly signal?: AbortSignal;
}

/** Replacements tried for one place before giving up: by then the set is broken, not a picture. */
const MAX_ATTEMPTS = 16;

/**
 * Batches from a place on.
 *
 * @param from where to go on. @default the beginning
 * @throws NijimiError `format` when one place cannot be filled with any of 16 samples, `cancelled` after the signal
 * @example
 * for await (const { images, labels, next } of batches(set, decode, { batchSize: 64, image: { size: 32 } })) …
 */
export async function* batches(
  dataset: Dataset,
  decode: DecodeImage,
  options: BatchOptions,
  from: DataPosition = { epoch: 0, batch: 0 },
): AsyncGenerator<Batch> {
  checkOptions(options);
  const { seed = 0, epochs = Infinity, shuffle, every = { step: 1, offset: 0 } } = options;
  // A block holds at least one batch of all processes, so that a batch lies in two blocks at most.
  const block = Math.max(options.block ?? 1024, options.batchSize * (options.rank?.count ?? 1));
  let toSkip = every.offset;
  for (let { epoch, batch } = from; epoch < epochs; epoch++, batch = 0) {
    const reader = readEpoch(dataset, {
      seed,
      epoch,
      block,
      ...(shuffle !== undefined && { shuffle }),
    });
    const first = batch;
    try {
      for (; ; batch++) {
        const size = await batchSizeAt(reader, batch, options);
        if (size === 0) break;
        if (toSkip-- > 0) continue;
        toSkip = every.step - 1;
        if (options.signal?.aborted)
          throw new NijimiError("cancelled", "Loading was cancelled.", {
            cause: options.signal.reason,
          });
        yield await makeBatch(reader, { epoch, batch }, size, decode, options);
      }
    } finally {
      await reader.close();
    }
    if (batch === 0 && first === 0)
      throw new NijimiError(
        "option",
        `${dataset.name} has fewer samples than one batch of ${options.batchSize}; use a smaller batch, or dropLast: false.`,
      );
  }
}

/** Samples of this process in a batch; 0 when the epoch ends before it. */
async function batchSizeAt(
  reader: EpochReader,
  batch: number,
  options: BatchOptions,
): Promise<number> {
  const { batchSize, dropLast = true, rank = { index: 0, count: 1 } } = options;
  const whole = batchSize * rank.count;
  if (await reader.has((batch + 1) * whole - 1)) return batchSize;
  if (dropLast) return 0;
  const start = firstPosition(batch, options);
  let size = 0;
  while (size < batchSize && (await reader.has(start + size))) size++;
  return size;
}

function firstPosition(
  batch: number,
  { batchSize, rank = { index: 0, count: 1 } }: BatchOptions,
): number {
  return (batch * rank.count + rank.index) * batchSize;
}

async function makeBatch(
  reader: EpochReader,
  position: DataPosition,
  size: number,
  decode: DecodeImage,
  options: BatchOptions,
): Promise<Batch> {
  const start = firstPosition(position.batch, options);
  const loaded = await Promise.all(
    Array.from({ length: size }, (_, i) =>
      loadSample(reader, start + i, position.epoch, decode, options),
    ),
  );
  const { channels = 3 } = options.image;
  const [height, width] = outputSize(options.image);
  const samples = loaded.map(({ sample }) => sample);
  const targets = loaded.map(({ prepared }) => prepared.target);
  const planes = options.image.target === "mask" ? 1 : channels;
  return {
    position,
    next: { epoch: position.epoch, batch: position.batch + 1 },
    images: join(
      loaded.map(({ prepared }) => prepared.image),
      [channels, height, width],
    ),
    ...(targets.every((target) => target !== undefined) && {
      targets: join(targets, [planes, height, width]),
    }),
    ...(samples.every(({ label }) => label !== undefined) && {
      labels: int64(
        [size],
        samples.map(({ label }) => label!),
      ),
    }),
    ...(samples.some(({ caption }) => caption !== undefined) && {
      captions: samples.map(({ caption }) => caption ?? ""),
    }),
    keys: samples.map(({ key }) => key),
    metadata: samples.map(({ metadata }) => metadata),
    broken: loaded.flatMap(({ broken }) => broken),
  };
}

interface LoadedSample {
  readonly sample: RawSample;
  readonly prepared: Prepared;
  readonly broken: readonly BrokenSample[];
}

/** The sample at a position, or the first substitute that is whole. */
async function loadSample(
  reader: EpochReader,
  position: number,
  epoch: number,
  decode: DecodeImage,
  { image, seed = 0 }: BatchOptions,
): Promise<LoadedSample> {
  const broken: BrokenSample[] = [];
  for (let attempt = 0; attempt <= MAX_ATTEMPTS; attempt++) {
    let key = attempt === 0 ? reader.key(position) : undefined;
    try {
      const sample = await (attempt === 0
        ? reader.read(position)
        : reader.substitute(position, attempt));
      key = sample.key;
      const [first, second] = await Promise.all([
        toRaster(sample.image, decode),
        sample.target && toRaster(sample.target, decode),
      ]);
      const prepared = prepare(first, second, image, deriveSeed(seed, "augment", epoch, position));
      return { sample, prepared, broken };
    } catch (error) {
      // Without a key it is the set that cannot be read, not a picture.
      if (key === undefined) throw error;
      broken.push({ key, reason: error instanceof Error ? error.message : String(error) });
    }
  }
  const list = broken.slice(0, 3).map(({ key, reason }) => `${key}: ${reason}`);
  throw new NijimiError(
    "format",
    `${broken.length} pictures one after the other are broken. ${list.join("; ")} …`,
  );
}

async function toRaster(image: Uint8Array | Raster, decode: DecodeImage): Promise<Raster> {
  return image instanceof Uint8Array ? decode(image) : image;
}

function join(parts: readonly Float32Array[], shape: readonly number[]): Tensor<"float32"> {
  const out = new Float32Array(parts.length * (parts[0]?.length ?? 0));
  for (const [i, part] of parts.entries()) out.set(part, i * part.length);
  return tensor("float32", [parts.length, ...shape], out);
}

function checkOptions({ batchSize, image, rank, every }: BatchOptions): void {
  checkImageOptions(image);
  if (!Number.isInteger(batchSize) || batchSize < 1)
    throw new NijimiError(
      "option",
      `batchSize: expected a whole number above 0; got ${batchSize}.`,
    );
  if (rank && !(rank.index >= 0 && rank.index < rank.count))
    throw new NijimiError(
      "option",
      `rank: expected 0 ≤ index < count; got ${rank.index} of ${rank.count}.`,
    );
  if (every && !(every.step >= 1 && every.offset >= 0))
    throw new NijimiError(
      "option",
      `every: expected step ≥ 1 and offset ≥ 0; got ${every.step} and ${every.offset}.`,
    );
}
