/** What `nijimi eval` is given: paths to image sets and statistics. */
import { stat, readdir } from "node:fs/promises";
import { join } from "node:path";
import { type DatasetSpec, openDataset } from "../../data/open-dataset.ts";
import type { Raster } from "../../data/sample.ts";
import { NijimiError } from "../../errors.ts";
import { decodeImage } from "../../images/codec.ts";
import { firstOf, imageSetOf } from "../../metrics/evaluate/image-sets.ts";
import type { ImageSet, StatisticsInput } from "../../metrics/evaluate/types.ts";
import { readStatistics } from "../../metrics/statistics-file.ts";

const ACCEPTED = "a folder of pictures, .tar or .tar.gz shards, .parquet, or statistics (.npz)";

/**
 * Opens a path as a set of pictures, or as statistics.
 *
 * @param limit only the first pictures
 * @throws NijimiError `file` when there is nothing, `option` for what is neither
 */
export async function openInput(path: string, limit?: number): Promise<ImageSet | StatisticsInput> {
  if (/\.npz$/i.test(path)) return { name: path, ...(await readStatistics(path)) };
  const set = imageSetOf(await openDataset(await specOf(path)), decode);
  const named = { ...set, name: path };
  return limit === undefined ? named : firstOf(named, limit);
}

async function specOf(path: string): Promise<DatasetSpec> {
  if (/\.tar(\.gz)?$|\.tgz$/i.test(path)) return { kind: "webdataset", files: path };
  if (/\.parquet$/i.test(path)) return { kind: "parquet", files: path };
  if (await isFolder(path)) {
    const shards = (await readdir(path)).filter((name) => /\.tar(\.gz)?$/i.test(name)).sort();
    if (shards.length === 0) return { kind: "folder", path };
    return { kind: "webdataset", files: shards.map((name) => join(path, name)) };
  }
  throw new NijimiError("option", `${path} is no set of pictures; expected ${ACCEPTED}.`);
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    throw new NijimiError("file", `There is nothing at ${path}; expected ${ACCEPTED}.`, { cause });
  }
}

/** As Pillow decodes, which the published figures were made with: profiles ignored, 8 bits. */
export async function decode(bytes: Uint8Array): Promise<Raster> {
  const { width, height, channels, data } = await decodeImage(bytes, {
    bitDepth: 8,
    orient: false,
  });
  return { width, height, channels, data: data as Uint8Array };
}
