/** Data sets by nothing but a path: what is there decides how it is read. */
import { openFolder } from "../checkpoints/files/open-source.ts";
import { isNijimiError, NijimiError } from "../errors.ts";
import type { DatasetSpec } from "./open-dataset.ts";

const TAR = /\.(tar|tar\.gz|tgz)$/i;
const ACCEPTED =
  "a folder of pictures or shards, .tar or .tar.gz shards, .parquet, CIFAR's .bin, or MNIST's images-idx3-ubyte";

/**
 * The description of the set at a path: a folder of pictures (or of shards), tar shards with braces expanded,
 * Parquet, CIFAR's binary files, MNIST's images with the labels beside them.
 *
 * @throws NijimiError `file` when there is nothing, `option` for what is no set
 * @example
 * const photos = await openDataset(await datasetAt("photos/"));
 */
export async function datasetAt(path: string): Promise<DatasetSpec> {
  if (TAR.test(path)) return { kind: "webdataset", files: path };
  if (/\.parquet$/i.test(path)) return { kind: "parquet", files: path };
  if (/\.bin$/i.test(path)) return { kind: "cifar", files: path };
  if (/images[-.]idx3-ubyte(\.gz)?$/i.test(path))
    return {
      kind: "mnist",
      images: path,
      labels: path.replace(/images([-.])idx3/i, "labels$1idx1"),
    };
  const files = await listFolder(path);
  const shards = files.filter((file) => TAR.test(file) && !file.includes("/")).sort();
  if (shards.length === 0) return { kind: "folder", path };
  const below = path.replace(/\/*$/, "/");
  return { kind: "webdataset", files: shards.map((file) => below + file) };
}

async function listFolder(path: string): Promise<readonly string[]> {
  try {
    return (await (await openFolder(path)).list()) ?? [];
  } catch (cause) {
    if (!isNijimiError(cause) || cause.code !== "file") throw cause;
    const isFolder = /is not a folder/.test(cause.message);
    throw isFolder
      ? new NijimiError("option", `${path} is no set of pictures; expected ${ACCEPTED}.`, { cause })
      : new NijimiError("file", `There is nothing at ${path}; expected ${ACCEPTED}.`, { cause });
  }
}
