/** Data sets by description: plain data as recipes have it, opened on disk, by URL, or both. */
import { openFolder, openSource } from "../checkpoints/files/open-source.ts";
import { NijimiError, unknownName } from "../errors.ts";
import type { Dataset, IndexedDataset, StreamedDataset } from "./sample.ts";
import { cifarDataset, type CifarOptions } from "./sources/cifar.ts";
import { collect, filterKeys, mixture } from "./sources/derived.ts";
import { imageFolder, type ImageFolderOptions } from "./sources/image-folder.ts";
import { mnistDataset } from "./sources/mnist.ts";
import { parquetDataset, type ParquetOptions } from "./sources/parquet.ts";
import { expandBraces, webDataset, type WebDatasetOptions } from "./sources/web-dataset.ts";

/** Which samples of a set are used. */
interface Selection {
  /** Leave these keys out. */
  readonly exclude?: readonly string[];
  /** Use these keys only. */
  readonly only?: readonly string[];
}

interface Streaming {
  /** Paths or URLs, `{0000..0123}` and `{a,b}` expanded. */
  readonly files: string | readonly string[];
  /** Hold the encoded pictures in memory and shuffle them as a whole. @default true up to 256 MiB of files */
  readonly inMemory?: boolean;
}

export type DatasetSpec =
  | (Selection & ImageFolderOptions & { readonly kind: "folder"; readonly path: string })
  | (Selection & WebDatasetOptions & Streaming & { readonly kind: "webdataset" })
  | (Selection & ParquetOptions & Streaming & { readonly kind: "parquet" })
  | (Selection &
      CifarOptions & { readonly kind: "cifar"; readonly files: string | readonly string[] })
  | (Selection & { readonly kind: "mnist"; readonly images: string; readonly labels?: string })
  | {
      readonly kind: "mixture";
      readonly parts: readonly { readonly dataset: DatasetSpec; readonly weight: number }[];
      /** Samples per epoch. @default the sum of the sizes */
      readonly size?: number;
    };

const KINDS = ["folder", "webdataset", "parquet", "cifar", "mnist", "mixture"] as const;
const IN_MEMORY_BYTES = 256 * 2 ** 20;

/**
 * Opens a described set.
 *
 * @throws NijimiError `option` for an unknown kind, `file` and `format` for what cannot be read
 * @example
 * const emoji = await openDataset({ kind: "webdataset", files: "emoji-{00..03}.tar.gz" });
 */
export async function openDataset(spec: DatasetSpec): Promise<Dataset> {
  if (spec.kind === "mixture") return openMixture(spec.parts, spec.size);
  const { exclude, only } = spec;
  const dataset = await openKind(spec);
  if (!exclude && !only) return dataset;
  const [without, within] = [new Set(exclude), only && new Set(only)];
  return filterKeys(
    dataset,
    (key) => !without.has(key) && (within === undefined || within.has(key)),
  );
}

async function openKind(
  spec: Exclude<DatasetSpec, { readonly kind: "mixture" }>,
): Promise<Dataset> {
  switch (spec.kind) {
    case "folder":
      return imageFolder(await openFolder(spec.path), spec);
    case "webdataset":
      return orInMemory(webDataset(expandAll(spec.files), spec), spec);
    case "parquet":
      return orInMemory(await parquetDataset(expandAll(spec.files), spec), spec);
    case "cifar":
      return cifarDataset(expandAll(spec.files), spec);
    case "mnist":
      return mnistDataset(spec.images, spec.labels);
    default:
      throw unknownName("kind of data set", String((spec as { kind: unknown }).kind), KINDS);
  }
}

function expandAll(files: string | readonly string[]): string[] {
  return [files].flat().flatMap(expandBraces);
}

async function orInMemory(
  dataset: StreamedDataset,
  { files, inMemory }: Streaming,
): Promise<Dataset> {
  const hold = inMemory ?? (await totalSize(expandAll(files))) <= IN_MEMORY_BYTES;
  return hold ? collect(dataset, { maxBytes: Infinity }) : dataset;
}

async function totalSize(files: readonly string[]): Promise<number> {
  let total = 0;
  for (const file of files) {
    const source = await openSource(file);
    total += source.size;
    await source.close();
  }
  return total;
}

async function openMixture(
  parts: readonly { readonly dataset: DatasetSpec; readonly weight: number }[],
  size: number | undefined,
): Promise<IndexedDataset> {
  const opened = await Promise.all(
    parts.map(async ({ dataset: spec, weight }) => {
      const dataset = await openDataset(spec);
      if (dataset.kind !== "indexed")
        throw new NijimiError(
          "unsupported",
          `${dataset.name} is streamed and cannot be mixed; set inMemory: true.`,
        );
      return { dataset, weight };
    }),
  );
  return mixture(opened, size);
}
