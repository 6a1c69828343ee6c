/**
 * Folders of pictures, in the layouts people have:
 *
 * - class subfolders (`cat/1.png`, `dog/2.png`): the label is the index of the first folder among the sorted names;
 * - captions beside the pictures: `1.txt` for `1.png`, else `caption.txt` for all pictures of its folder;
 * - `metadata.jsonl` as Hugging Face's imagefolder has it: one object per line with `file_name` relative to it, and
 *   columns of which `text` or `caption` is the caption and `label` the class;
 * - a second picture per sample: the column `target_file_name`, or a folder of the same names (`targets`).
 */
import { NijimiError } from "../../errors.ts";
import { readText, type Folder } from "../../checkpoints/files/folder.ts";
import type { IndexedDataset, RawSample } from "../sample.ts";

export interface ImageFolderOptions {
  /** Column of metadata.jsonl that holds the caption. @default "text", else "caption" */
  readonly captionColumn?: string;
  /** Folder with a second picture of the same relative path for every picture; its extension may differ. */
  readonly targets?: string;
  /** Keep class labels from subfolders. @default true where every picture is in one and no metadata says otherwise */
  readonly labels?: boolean;
}

/** Extensions that are taken for pictures. */
export const IMAGE_EXTENSIONS = [
  "png",
  "jpg",
  "jpeg",
  "webp",
  "avif",
  "gif",
  "bmp",
  "tif",
  "tiff",
  "ppm",
  "pgm",
] as const;

const IMAGE = new RegExp(`\\.(${IMAGE_EXTENSIONS.join("|")})$`, "i");
const METADATA = /(^|\/)metadata\.jsonl$/;

interface Entry {
  readonly path: string;
  readonly caption?: string;
  readonly captionFile?: string;
  readonly label?: number;
  readonly target?: string;
  readonly metadata?: Readonly<Record<string, unknown>>;
}

/**
 * The pictures of a folder, sorted by path.
 *
 * @throws NijimiError `file` when there is no picture, `format` for broken metadata
 * @example
 * const set = await imageFolder(await openFolder("photos"));
 */
export async function imageFolder(
  folder: Folder,
  options: ImageFolderOptions = {},
): Promise<IndexedDataset> {
  const files = await folder.list();
  if (!files)
    throw new NijimiError(
      "file",
      `${folder.name} cannot be listed; give a folder on disk or a list of files.`,
    );
  const rows = await readMetadata(folder, files);
  const inTargets = (path: string) =>
    options.targets !== undefined && path.startsWith(`${options.targets}/`);
  const listed = new Set(rows.map(({ target }) => target));
  const pictures = files.filter(
    (path) => IMAGE.test(path) && !inTargets(path) && !listed.has(path),
  );
  const chosen = rows.length > 0 ? rows.map(({ path }) => path) : pictures;
  if (chosen.length === 0)
    throw new NijimiError(
      "file",
      `${folder.name} holds no pictures; expected files ending in ${IMAGE_EXTENSIONS.join(", ")}.`,
    );
  const hasMetadataLabel = rows.some(({ metadata }) => metadata.label !== undefined);
  const useFolders =
    options.labels ?? (rows.length === 0 && chosen.every((path) => path.includes("/")));
  const classes = useFolders
    ? distinct(chosen.map(topFolder))
    : hasMetadataLabel
      ? namedClasses(rows)
      : undefined;
  const byPath = new Map(rows.map((row) => [row.path, row]));
  const known = new Set(files);
  const targets = new Map(files.filter(inTargets).map((path) => [withoutExtension(path), path]));
  const entries = chosen.toSorted(comparePaths).map((path): Entry => {
    const row = byPath.get(path);
    const caption = captionOf(row?.metadata, options.captionColumn);
    const captionFile = caption === undefined ? captionFileOf(path, known) : undefined;
    const label = useFolders
      ? classes!.indexOf(topFolder(path))
      : labelOf(row?.metadata.label, classes);
    const target = row?.target ?? targets.get(`${options.targets}/${withoutExtension(path)}`);
    return { path, caption, captionFile, label, target, metadata: row?.metadata };
  });
  return {
    kind: "indexed",
    name: folder.name,
    size: entries.length,
    classes,
    key: (index) => entries[index].path,
    read: (index) => readEntry(folder, entries[index]),
  };
}

async function readEntry(folder: Folder, entry: Entry): Promise<RawSample> {
  const { path, captionFile, target, label, metadata } = entry;
  const caption =
    entry.caption ??
    (captionFile ? new TextDecoder().decode(await readAll(folder, captionFile)).trim() : undefined);
  return {
    key: path,
    image: await readAll(folder, path),
    ...(caption !== undefined && { caption }),
    ...(label !== undefined && { label }),
    ...(target !== undefined && { target: await readAll(folder, target) }),
    ...(metadata !== undefined && { metadata }),
  };
}

async function readAll(folder: Folder, path: string): Promise<Uint8Array> {
  const source = await folder.open(path);
  if (!source) throw new NijimiError("file", `${folder.name}/${path} is not there.`);
  try {
    return await source.read(0, source.size);
  } finally {
    await source.close();
  }
}

interface Row {
  readonly path: string;
  readonly target?: string;
  readonly metadata: Readonly<Record<string, unknown>>;
}

/** Rows of all metadata files, each of which describes the files below its own folder. */
async function readMetadata(folder: Folder, files: readonly string[]): Promise<Row[]> {
  const other = files.find((path) => /(^|\/)metadata\.(csv|parquet)$/.test(path));
  if (other)
    throw new NijimiError(
      "unsupported",
      `${folder.name}/${other} is not read; write its rows as metadata.jsonl.`,
    );
  const rows: Row[] = [];
  for (const file of files.filter((path) => METADATA.test(path))) {
    const source = (await folder.open(file))!;
    const text = await readText(source, 2 ** 30).finally(() => source.close());
    const parent = file.slice(0, -"metadata.jsonl".length);
    for (const [index, line] of text.split("\n").entries())
      if (line.trim() !== "")
        rows.push(parseRow(line, parent, `${folder.name}/${file}, line ${index + 1}`));
  }
  return rows;
}

function parseRow(line: string, parent: string, where: string): Row {
  let row: unknown;
  try {
    row = JSON.parse(line);
  } catch (cause) {
    throw new NijimiError("format", `${where} is not JSON.`, { cause });
  }
  const { file_name, target_file_name, ...metadata } = (row ?? {}) as Record<string, unknown>;
  if (typeof file_name !== "string")
    throw new NijimiError("format", `${where} has no "file_name"; every line names its picture.`);
  return {
    path: parent + file_name,
    ...(typeof target_file_name === "string" && { target: parent + target_file_name }),
    metadata,
  };
}

function captionOf(
  metadata: Readonly<Record<string, unknown>> | undefined,
  column: string | undefined,
): string | undefined {
  const value = column === undefined ? (metadata?.text ?? metadata?.caption) : metadata?.[column];
  return typeof value === "string" ? value : undefined;
}

/** `1.txt` or `1.caption` beside `1.png`, else `caption.txt` in its folder. */
function captionFileOf(path: string, files: ReadonlySet<string>): string | undefined {
  const parent = path.includes("/") ? path.slice(0, path.lastIndexOf("/") + 1) : "";
  const stem = withoutExtension(path);
  return [`${stem}.txt`, `${stem}.caption`, `${parent}caption.txt`].find((file) => files.has(file));
}

/** Names of the classes when labels are words; undefined when they are numbers. */
function namedClasses(rows: readonly Row[]): string[] | undefined {
  const names = rows
    .map(({ metadata }) => metadata.label)
    .filter((label) => typeof label === "string");
  return names.length > 0 ? distinct(names) : undefined;
}

function labelOf(label: unknown, classes: readonly string[] | undefined): number | undefined {
  if (typeof label === "number") return label;
  return typeof label === "string" ? classes?.indexOf(label) : undefined;
}

function topFolder(path: string): string {
  return path.includes("/") ? path.slice(0, path.indexOf("/")) : "";
}

function withoutExtension(path: string): string {
  return path.replace(/\.[^./]+$/, "");
}

function distinct(values: readonly string[]): string[] {
  return [...new Set(values)].sort(comparePaths);
}

/** By code unit: the same order on every machine, whatever its language. */
function comparePaths(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}
