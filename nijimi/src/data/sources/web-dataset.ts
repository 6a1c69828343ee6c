/**
 * WebDataset shards: tar archives in which neighbouring files with one name and different extensions are a sample
 * (`0001.jpg`, `0001.txt`, `0001.cls`). The name ends at the first dot after the last slash.
 *
 * Pictures: the extensions of image folders. Captions: `.txt`, `.caption`, or a field of `.json`. Labels: `.cls` or
 * the field `label`. A second picture: `.target.png` or `.seg.png` (any picture extension).
 */
import type { ByteSource } from "../../checkpoints/files/byte-source.ts";
import { openSource, type SourceInput } from "../../checkpoints/files/open-source.ts";
import { NijimiError } from "../../errors.ts";
import type { RawSample, StreamedDataset } from "../sample.ts";
import { IMAGE_EXTENSIONS } from "./image-folder.ts";
import { readTar } from "./tar.ts";

export interface WebDatasetOptions {
  /** Field of `.json` that holds the caption. @default "caption", else "text" */
  readonly captionField?: string;
}

const IMAGES: ReadonlySet<string> = new Set(IMAGE_EXTENSIONS);

/**
 * Shards as a stream of samples. A shard is opened when it is reached.
 *
 * @param shards `.tar` or `.tar.gz`, as paths, URLs or bytes; see {@link expandBraces} for `{0000..0123}`
 * @example
 * const set = webDataset(expandBraces("shards/train-{0000..0009}.tar"));
 */
export function webDataset(
  shards: readonly SourceInput[],
  options: WebDatasetOptions = {},
): StreamedDataset {
  if (shards.length === 0)
    throw new NijimiError("option", "webDataset: expected at least one shard; got none.");
  const sizes: (number | undefined)[] = shards.map(() => undefined);
  return {
    kind: "streamed",
    name: typeof shards[0] === "string" ? shards[0] : "shards",
    shards: shards.length,
    shardSize: (shard) => sizes[shard],
    async *stream(shard) {
      const source = await openSource(shards[shard]);
      let count = 0;
      try {
        for await (const sample of readSamples(source, options)) {
          count++;
          yield sample;
        }
        sizes[shard] = count;
      } finally {
        await source.close();
      }
    },
  };
}

/** `"a-{00..02}.tar"` → a-00.tar, a-01.tar, a-02.tar; `"{x,y}"` → x, y. Several braces multiply. */
export function expandBraces(pattern: string): string[] {
  const match = /\{([^{}]*)\}/.exec(pattern);
  if (!match) return [pattern];
  const range = /^(\d+)\.\.(\d+)$/.exec(match[1]);
  const parts = range ? numbers(range[1], range[2]) : match[1].split(",");
  const [before, after] = [
    pattern.slice(0, match.index),
    pattern.slice(match.index + match[0].length),
  ];
  return parts.flatMap((part) => expandBraces(before + part + after));
}

function numbers(first: string, last: string): string[] {
  const count = Number(last) - Number(first) + 1;
  if (count < 1)
    throw new NijimiError(
      "option",
      `{${first}..${last}} is empty; write the smaller number first.`,
    );
  return Array.from({ length: count }, (_, i) =>
    String(Number(first) + i).padStart(first.length, "0"),
  );
}

/** Files of one sample by extension. */
type Files = Map<string, Uint8Array>;

async function* readSamples(
  source: ByteSource,
  options: WebDatasetOptions,
): AsyncGenerator<RawSample> {
  let current: string | undefined;
  let files: Files = new Map();
  for await (const { name, bytes } of readTar(source)) {
    const dot = name.indexOf(".", name.lastIndexOf("/") + 1);
    if (dot < 0) continue;
    const key = name.slice(0, dot).replace(/^(\.\/)+/, "");
    if (key !== current) {
      if (current !== undefined) yield* toSample(source.name, current, files, options);
      [current, files] = [key, new Map()];
    }
    files.set(name.slice(dot + 1).toLowerCase(), bytes);
  }
  if (current !== undefined) yield* toSample(source.name, current, files, options);
}

/** The sample, or nothing where the files have no picture among them. */
function* toSample(
  shard: string,
  key: string,
  files: Files,
  options: WebDatasetOptions,
): Iterable<RawSample> {
  const image = find(files, (extension) => IMAGES.has(extension));
  if (!image) return;
  const json = parseJson(shard, key, files.get("json"));
  const caption =
    text(files.get("txt") ?? files.get("caption")) ?? captionOf(json, options.captionField);
  const label = text(files.get("cls")) ?? json?.label;
  const target = find(files, (extension) => {
    const [role, type] = extension.split(".");
    return (role === "target" || role === "seg") && IMAGES.has(type);
  });
  yield {
    key,
    image,
    ...(caption !== undefined && { caption }),
    ...(label !== undefined && { label: toLabel(shard, key, label) }),
    ...(target && { target }),
    ...(json && { metadata: json }),
  };
}

function find(files: Files, accept: (extension: string) => boolean): Uint8Array | undefined {
  for (const [extension, bytes] of files) if (accept(extension)) return bytes;
  return undefined;
}

function text(bytes: Uint8Array | undefined): string | undefined {
  return bytes && new TextDecoder().decode(bytes).trim();
}

function parseJson(
  shard: string,
  key: string,
  bytes: Uint8Array | undefined,
): Record<string, unknown> | undefined {
  if (!bytes) return undefined;
  try {
    const value: unknown = JSON.parse(new TextDecoder().decode(bytes));
    return typeof value === "object" && value !== null
      ? (value as Record<string, unknown>)
      : undefined;
  } catch (cause) {
    throw new NijimiError("format", `${shard}: ${key}.json is not JSON.`, { cause });
  }
}

function captionOf(
  json: Record<string, unknown> | undefined,
  field: string | undefined,
): string | undefined {
  const value = field === undefined ? (json?.caption ?? json?.text) : json?.[field];
  return typeof value === "string" ? value : undefined;
}

function toLabel(shard: string, key: string, value: unknown): number {
  const label = Number(value);
  if (!Number.isInteger(label))
    throw new NijimiError(
      "format",
      `${shard}: the label of ${key} is ${JSON.stringify(value)}; expected a whole number.`,
    );
  return label;
}
