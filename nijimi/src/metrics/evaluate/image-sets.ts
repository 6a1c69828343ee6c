/** Image sets out of data sets, in their natural order, without augmentation and without replacing broken pictures. */
import type { DecodeImage } from "../../data/batches.ts";
import type { Dataset, RawSample } from "../../data/sample.ts";
import { NijimiError } from "../../errors.ts";
import type { ImageSet, SetItem } from "./types.ts";

/**
 * A data set as an image set. A picture that cannot be decoded ends the evaluation with its name: leaving pictures out
 * changes figures.
 *
 * @example
 * const set = imageSetOf(await openDataset({ kind: "folder", path: "samples" }), decodePicture);
 */
export function imageSetOf(dataset: Dataset, decode: DecodeImage): ImageSet {
  return dataset.kind === "indexed"
    ? { name: dataset.name, size: dataset.size, items: (from) => indexed(dataset, decode, from) }
    : {
        name: dataset.name,
        ...knownSize(dataset),
        items: (from) => streamed(dataset, decode, from),
      };
}

/** The first `limit` pictures of a set. */
export function firstOf(set: ImageSet, limit: number): ImageSet {
  return {
    name: set.name,
    size: Math.min(limit, set.size ?? limit),
    async *items(from) {
      let position = from;
      if (position >= limit) return;
      for await (const item of set.items(from)) {
        yield item;
        if (++position >= limit) return;
      }
    },
  };
}

async function* indexed(
  dataset: Extract<Dataset, { kind: "indexed" }>,
  decode: DecodeImage,
  from: number,
): AsyncGenerator<SetItem> {
  for (let i = from; i < dataset.size; i++) yield decoded(await dataset.read(i), decode);
}

async function* streamed(
  dataset: Extract<Dataset, { kind: "streamed" }>,
  decode: DecodeImage,
  from: number,
): AsyncGenerator<SetItem> {
  let position = 0;
  for (let shard = 0; shard < dataset.shards; shard++) {
    const size = dataset.shardSize(shard);
    if (size !== undefined && position + size <= from) {
      position += size;
      continue;
    }
    for await (const sample of dataset.stream(shard))
      if (position++ >= from) yield await decoded(sample, decode);
  }
}

async function decoded({ key, image, caption }: RawSample, decode: DecodeImage): Promise<SetItem> {
  const raster = image instanceof Uint8Array ? await decodeNamed(key, image, decode) : image;
  return { key, image: raster, ...(caption !== undefined && { caption }) };
}

async function decodeNamed(key: string, bytes: Uint8Array, decode: DecodeImage) {
  try {
    return await decode(bytes);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new NijimiError("format", `The picture ${key} cannot be decoded: ${reason}`, { cause });
  }
}

function knownSize(dataset: Extract<Dataset, { kind: "streamed" }>): { size?: number } {
  let size = 0;
  for (let shard = 0; shard < dataset.shards; shard++) {
    const known = dataset.shardSize(shard);
    if (known === undefined) return {};
    size += known;
  }
  return { size };
}
