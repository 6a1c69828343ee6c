/**
 * Writing safetensors files of any size: tensors are taken one at a time, converted and written, so that
 * memory holds one of them. In Node; browsers use `writeSafetensors`, which gives the bytes.
 */
import { NijimiError } from "../errors.ts";
import { cast, isFloat, toFloat32 } from "../tensor/convert.ts";
import { bytesPerElement, type DType } from "../tensor/dtype.ts";
import { sizeOf, type Tensor } from "../tensor/tensor.ts";
import type { Entry } from "./checkpoint.ts";
import { formatJson } from "./json.ts";
import { layoutSafetensors, tensorBytes, type TensorInfo } from "./safetensors.ts";

/** Tensors in memory or entries of open checkpoints, by name. */
export type Savable = Readonly<Record<string, Tensor | Entry>>;

/** Element types that weights can be converted to. */
export type FloatType = "float32" | "float16" | "bfloat16";

/** How tensors are written. */
export interface SaveOptions {
  /** Element type of the floating-point tensors; others stay as they are. @default as they are */
  readonly dtype?: FloatType;
  /** Strings for the header. @default { format: "pt" }, which Python's libraries ask for */
  readonly metadata?: Readonly<Record<string, string>>;
}

/**
 * Writes one file, which appears complete or not at all.
 *
 * @throws NijimiError `numeric` when a number is too large for `dtype`
 * @example
 * const checkpoint = await openCheckpoint("model.ckpt");
 * await saveSafetensors("model.safetensors", checkpoint.entries, { dtype: "float16" });
 */
export async function saveSafetensors(
  path: string,
  tensors: Savable,
  options: SaveOptions = {},
): Promise<void> {
  const { writeFile } = await import("#files");
  const { dtype, metadata = { format: "pt" } } = options;
  const infos = Object.fromEntries(
    Object.entries(tensors).map(([name, value]) => [name, infoAfter(value, dtype)]),
  );
  const { header, order } = layoutSafetensors(infos, metadata);
  await writeFile(path, chunks());

  async function* chunks(): AsyncGenerator<Uint8Array> {
    yield header;
    for (const name of order) yield tensorBytes(convert(name, await load(tensors[name]), dtype));
  }
}

/** How a set of files is written. */
export interface ShardOptions extends SaveOptions {
  /** Largest number of bytes of tensors in a file; a larger tensor has a file of its own. @default 5e9 */
  readonly maxShardBytes?: number;
  /** The word before the extension, as in `model.fp16.safetensors`. @default none */
  readonly variant?: string;
}

/**
 * Writes `STEM.safetensors`, or `STEM-00001-of-00003.safetensors` and so on with an index when that would be
 * too large, named as diffusers and transformers name them.
 *
 * @param folder where to; it should not hold older files of the same stem
 */
export async function saveSharded(
  folder: string,
  stem: string,
  tensors: Savable,
  { maxShardBytes = 5e9, variant, ...options }: ShardOptions = {},
): Promise<void> {
  const { join, writeFile } = await import("#files");
  const infos = new Map(
    Object.entries(tensors).map(([name, value]) => [name, infoAfter(value, options.dtype)]),
  );
  const shards = planShards(infos, maxShardBytes);
  if (shards.length <= 1)
    return saveSafetensors(
      join(folder, `${withVariant(stem, variant)}.safetensors`),
      tensors,
      options,
    );
  const weightMap: Record<string, string> = {};
  for (const [i, names] of shards.entries()) {
    const file = shardName(stem, variant, i + 1, shards.length);
    for (const name of names) weightMap[name] = file;
    await saveSafetensors(join(folder, file), pick(tensors, names), options);
  }
  const total = [...infos.values()].reduce((sum, info) => sum + byteSize(info), 0);
  const index = formatJson({ metadata: { total_size: total }, weight_map: weightMap });
  await writeFile(join(folder, indexName(stem, variant)), [new TextEncoder().encode(index)]);
}

/** Fills one file after the other, in the order given. */
export function planShards(infos: ReadonlyMap<string, TensorInfo>, maxBytes: number): string[][] {
  const shards: string[][] = [];
  let used = Infinity;
  for (const [name, info] of infos) {
    const size = byteSize(info);
    if (used + size > maxBytes) {
      shards.push([]);
      used = 0;
    }
    shards[shards.length - 1].push(name);
    used += size;
  }
  return shards;
}

/** `model.fp16` */
function withVariant(stem: string, variant: string | undefined): string {
  return variant === undefined ? stem : `${stem}.${variant}`;
}

/** `model.fp16-00001-of-00003.safetensors` */
function shardName(
  stem: string,
  variant: string | undefined,
  number: number,
  count: number,
): string {
  const digits = (n: number) => String(n).padStart(5, "0");
  return `${withVariant(stem, variant)}-${digits(number)}-of-${digits(count)}.safetensors`;
}

/** `model.safetensors.index.fp16.json` */
function indexName(stem: string, variant: string | undefined): string {
  return `${withVariant(`${stem}.safetensors.index`, variant)}.json`;
}

function pick(tensors: Savable, names: readonly string[]): Savable {
  return Object.fromEntries(names.map((name) => [name, tensors[name]]));
}

function byteSize({ dtype, shape }: TensorInfo): number {
  return sizeOf(shape) * bytesPerElement(dtype);
}

function infoAfter({ dtype, shape }: TensorInfo, wanted: DType | undefined): TensorInfo {
  return { dtype: wanted !== undefined && isFloat(dtype) ? wanted : dtype, shape };
}

async function load(value: Tensor | Entry): Promise<Tensor> {
  return "data" in value ? value : value.read();
}

/** @throws NijimiError `numeric` when a finite number becomes infinite */
function convert(name: string, value: Tensor, wanted: FloatType | undefined): Tensor {
  if (wanted === undefined || !isFloat(value.dtype) || value.dtype === wanted) return value;
  const converted = cast(value, wanted);
  if (wanted === "float16") refuseOverflow(name, value);
  return converted;
}

/** Halfway between the largest float16 and what would follow it: from here on, rounding gives infinity. */
const FLOAT16_LIMIT = 65520;

function refuseOverflow(name: string, value: Tensor): void {
  for (const number of toFloat32(value))
    if (Math.abs(number) >= FLOAT16_LIMIT && Number.isFinite(number))
      throw new NijimiError(
        "numeric",
        `${JSON.stringify(name)} holds ${number}, which float16 cannot (at most 65504); use bfloat16 or float32.`,
      );
}
