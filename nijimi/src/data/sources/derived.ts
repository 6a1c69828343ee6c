/** Sets made from sets: in memory, a part of one, several mixed. */
import { NijimiError } from "../../errors.ts";
import type { Dataset, IndexedDataset, RawSample, StreamedDataset } from "../sample.ts";

export interface CollectOptions {
  /** Refuse sets whose encoded pictures take more. @default 1 GiB */
  readonly maxBytes?: number;
}

/**
 * A streamed set held in memory as it is encoded, so that it can be shuffled as a whole. An indexed one is given back.
 *
 * @throws NijimiError `memory` beyond `maxBytes`
 */
export async function collect(
  dataset: Dataset,
  { maxBytes = 2 ** 30 }: CollectOptions = {},
): Promise<IndexedDataset> {
  if (dataset.kind === "indexed") return dataset;
  const samples: RawSample[] = [];
  let bytes = 0;
  for (let shard = 0; shard < dataset.shards; shard++)
    for await (const sample of dataset.stream(shard)) {
      samples.push(sample);
      bytes += byteLength(sample.image) + byteLength(sample.target);
      if (bytes > maxBytes)
        throw new NijimiError(
          "memory",
          `${dataset.name} takes more than ${maxBytes} bytes; stream it, or raise maxBytes.`,
        );
    }
  return samplesInMemory(dataset.name, samples, dataset.classes);
}

function byteLength(image: RawSample["image"] | undefined): number {
  if (!image) return 0;
  return image instanceof Uint8Array ? image.length : image.data.length;
}

/** Samples that are in memory, as a set. */
export function samplesInMemory(
  name: string,
  samples: readonly RawSample[],
  classes?: readonly string[],
): IndexedDataset {
  return {
    kind: "indexed",
    name,
    size: samples.length,
    ...(classes && { classes }),
    key: (index) => samples[index].key,
    read: async (index) => samples[index],
  };
}

/**
 * The samples whose key is accepted, e.g. all but withheld ones. Works on both kinds of sets.
 *
 * @example
 * const training = filterKeys(set, (key) => !withheld.has(key));
 */
export function filterKeys<T extends Dataset>(dataset: T, accept: (key: string) => boolean): T {
  return (
    dataset.kind === "indexed" ? filterIndexed(dataset, accept) : filterStreamed(dataset, accept)
  ) as T;
}

function filterIndexed(dataset: IndexedDataset, accept: (key: string) => boolean): IndexedDataset {
  const kept = Array.from({ length: dataset.size }, (_, i) => i).filter((i) =>
    accept(dataset.key(i)),
  );
  return {
    ...dataset,
    size: kept.length,
    key: (index) => dataset.key(kept[index]),
    read: (index) => dataset.read(kept[index]),
  };
}

function filterStreamed(
  dataset: StreamedDataset,
  accept: (key: string) => boolean,
): StreamedDataset {
  return {
    ...dataset,
    shardSize: () => undefined,
    async *stream(shard) {
      for await (const sample of dataset.stream(shard)) if (accept(sample.key)) yield sample;
    },
  };
}

/** A set and its share in a mixture. */
export interface MixturePart {
  readonly dataset: IndexedDataset;
  /** Share of the samples of an epoch, relative to the other parts. */
  readonly weight: number;
}

/** Several sets as one, each with a share. @see epochOrder, which draws a new part of a set too large for its share every epoch */
export interface Mixture extends IndexedDataset {
  /** Where each part begins among the indices, and how many of its samples an epoch has. */
  readonly parts: readonly {
    readonly start: number;
    readonly size: number;
    readonly perEpoch: number;
  }[];
}

/**
 * Mixes sets. Sets smaller than their share repeat within an epoch, larger ones are seen over several epochs.
 * Labels stay those of each set.
 *
 * @param size samples per epoch. @default the sum of the sizes
 */
export function mixture(parts: readonly MixturePart[], size?: number): Mixture {
  const total = parts.reduce((sum, { weight }) => sum + weight, 0);
  if (
    parts.length === 0 ||
    parts.some(({ weight, dataset }) => !(weight > 0) || dataset.size === 0)
  )
    throw new NijimiError(
      "option",
      "mixture: expected sets that are not empty, each with a weight above 0.",
    );
  const epoch = size ?? parts.reduce((sum, { dataset }) => sum + dataset.size, 0);
  const starts = parts.map((_, i) =>
    parts.slice(0, i).reduce((sum, { dataset }) => sum + dataset.size, 0),
  );
  const find = (index: number): { part: MixturePart; local: number } => {
    const at = starts.findLastIndex((start) => start <= index);
    return { part: parts[at], local: index - starts[at] };
  };
  return {
    kind: "indexed",
    name: parts.map(({ dataset }) => dataset.name).join(" + "),
    size: parts.reduce((sum, { dataset }) => sum + dataset.size, 0),
    key: (index) => find(index).part.dataset.key(find(index).local),
    read: (index) => find(index).part.dataset.read(find(index).local),
    parts: parts.map(({ dataset, weight }, i) => ({
      start: starts[i],
      size: dataset.size,
      perEpoch: Math.round((epoch * weight) / total),
    })),
  };
}

/** True for a set made by {@link mixture}. */
export function isMixture(dataset: Dataset): dataset is Mixture {
  return "parts" in dataset;
}
