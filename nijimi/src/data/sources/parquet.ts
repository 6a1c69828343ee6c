/**
 * Parquet files as Hugging Face publishes image sets: a column of pictures (`{ bytes, path }` or plain bytes), a
 * column of captions, a column of class indices. A row group is a shard: it is decompressed as a whole.
 */
import { gunzipSync } from "fflate";
import {
  parquetMetadataAsync,
  parquetReadObjects,
  type AsyncBuffer,
  type FileMetaData,
} from "hyparquet";
import { openSource, type SourceInput } from "../../checkpoints/files/open-source.ts";
import type { ByteSource } from "../../checkpoints/files/byte-source.ts";
import { NijimiError, unknownName } from "../../errors.ts";
import { baseName, type RawSample, type StreamedDataset } from "../sample.ts";

export interface ParquetOptions {
  /** @default the first of image, img, jpg, png that is there */
  readonly imageColumn?: string;
  /** @default the first of text, caption, prompt that is there, else none */
  readonly captionColumn?: string;
  /** @default the first of label, labels, fine_label that is there, else none */
  readonly labelColumn?: string;
}

interface Columns {
  readonly image: string;
  readonly caption?: string;
  readonly label?: string;
}

interface RowGroup {
  readonly source: ByteSource;
  readonly metadata: FileMetaData;
  readonly columns: Columns;
  readonly start: number;
  readonly end: number;
}

/**
 * Parquet files as a stream of samples. Footers are read at once, rows when they are reached.
 *
 * @throws NijimiError `option` when a named column is not there, `unsupported` for other compressions than Snappy and gzip
 */
export async function parquetDataset(
  files: readonly SourceInput[],
  options: ParquetOptions = {},
): Promise<StreamedDataset> {
  if (files.length === 0)
    throw new NijimiError("option", "parquetDataset: expected at least one file; got none.");
  const groups = (await Promise.all(files.map((file) => openGroups(file, options)))).flat();
  return {
    kind: "streamed",
    name: groups[0]?.source.name ?? "parquet",
    shards: groups.length,
    shardSize: (shard) => groups[shard].end - groups[shard].start,
    stream: (shard) => readGroup(groups[shard]),
  };
}

async function openGroups(file: SourceInput, options: ParquetOptions): Promise<RowGroup[]> {
  const source = await openSource(file);
  const metadata = await parquetMetadataAsync(asyncBuffer(source)).catch((cause: unknown) => {
    throw new NijimiError("format", `${source.name} is not a Parquet file: ${messageOf(cause)}`, {
      cause,
    });
  });
  const [root] = metadata.schema;
  const names = topLevelColumns(metadata, root.num_children ?? 0);
  const columns = {
    image: pick(names, options.imageColumn, ["image", "img", "jpg", "png"], source.name)!,
    caption: pick(names, options.captionColumn, ["text", "caption", "prompt"], source.name),
    label: pick(names, options.labelColumn, ["label", "labels", "fine_label"], source.name),
  };
  if (columns.image === undefined)
    throw new NijimiError(
      "option",
      `${source.name} has no column of pictures; name one of ${names.join(", ")} as imageColumn.`,
    );
  let start = 0;
  return metadata.row_groups.map((group) => {
    const end = start + Number(group.num_rows);
    const rows = { source, metadata, columns, start, end };
    start = end;
    return rows;
  });
}

async function* readGroup({
  source,
  metadata,
  columns,
  start,
  end,
}: RowGroup): AsyncGenerator<RawSample> {
  const rows = await parquetReadObjects({
    file: asyncBuffer(source),
    metadata,
    columns: Object.values(columns).filter((name) => name !== undefined),
    rowStart: start,
    rowEnd: end,
    utf8: false,
    compressors: { GZIP: (input) => gunzipSync(input) },
  }).catch((cause: unknown) => {
    const code = /unsupported compression codec/i.test(messageOf(cause)) ? "unsupported" : "format";
    throw new NijimiError(code, `${source.name}, rows ${start} to ${end}: ${messageOf(cause)}`, {
      cause,
    });
  });
  for (const [i, row] of rows.entries())
    yield toSample(`${baseName(source.name)}:${start + i}`, row, columns);
}

function toSample(key: string, row: Record<string, unknown>, columns: Columns): RawSample {
  const picture = row[columns.image];
  const bytes =
    picture instanceof Uint8Array ? picture : (picture as { bytes?: unknown } | null)?.bytes;
  const caption = columns.caption === undefined ? undefined : row[columns.caption];
  const label = columns.label === undefined ? undefined : row[columns.label];
  return {
    key,
    // A row without picture counts as a broken one when its turn comes.
    image: bytes instanceof Uint8Array ? bytes : new Uint8Array(),
    ...(typeof caption === "string" && { caption }),
    ...((typeof label === "number" || typeof label === "bigint") && { label: Number(label) }),
  };
}

/** Names of the columns below the root; the schema is a tree written depth first. */
function topLevelColumns({ schema }: FileMetaData, count: number): string[] {
  const names: string[] = [];
  const skip = (index: number): number => {
    let next = index + 1;
    for (let child = 0; child < (schema[index].num_children ?? 0); child++) next = skip(next);
    return next;
  };
  for (let index = 1; names.length < count; index = skip(index)) names.push(schema[index].name);
  return names;
}

function pick(
  names: readonly string[],
  wanted: string | undefined,
  usual: readonly string[],
  file: string,
): string | undefined {
  if (wanted === undefined) return usual.find((name) => names.includes(name));
  if (!names.includes(wanted)) throw unknownName(`column of ${file}`, wanted, names);
  return wanted;
}

function asyncBuffer(source: ByteSource): AsyncBuffer {
  return {
    byteLength: source.size,
    slice: async (start, end = source.size) => {
      const bytes = await source.read(start, end - start);
      return bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length);
    },
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
