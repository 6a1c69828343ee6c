/**
 * The safetensors format (huggingface/safetensors): eight bytes of header length, a JSON header,
 * and the raw little-endian elements of every tensor, one after the other.
 *
 * Stricter than the reference implementation where its text is: the header begins with `{`, no name
 * occurs twice. Everything else it refuses is refused here as well.
 */
import { NijimiError } from "../errors.ts";
import { bytesPerElement, viewBytes, type DType } from "../tensor/dtype.ts";
import { sizeOf, type Tensor } from "../tensor/tensor.ts";
import { isJsonObject, parseLargeJson, type JsonObject, type JsonValue } from "./json.ts";

/** Names of element types in the header. */
const DTYPE_NAMES = {
  float64: "F64",
  float32: "F32",
  float16: "F16",
  bfloat16: "BF16",
  float8_e4m3fn: "F8_E4M3",
  float8_e5m2: "F8_E5M2",
  int64: "I64",
  int32: "I32",
  int16: "I16",
  int8: "I8",
  uint64: "U64",
  uint32: "U32",
  uint16: "U16",
  uint8: "U8",
  bool: "BOOL",
} as const satisfies Record<DType, string>;

const DTYPES_BY_NAME = new Map<string, DType>(
  Object.entries(DTYPE_NAMES).map(([dtype, name]) => [name, dtype as DType]),
);

/** The name in the header that is no tensor. */
const METADATA_KEY = "__metadata__";
/** Bytes of the field that holds the header's length. */
export const LENGTH_FIELD_BYTES = 8;
/** Longest header accepted, as in the reference implementation. */
const MAX_HEADER_BYTES = 100_000_000;

/** Where a tensor lies in a safetensors file. */
export interface SafetensorsEntry {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** First byte, counted from the beginning of the file. */
  readonly offset: number;
  /** Number of bytes. */
  readonly length: number;
}

/** What a header says, checked against the size of the file. */
export interface SafetensorsPlan {
  /** The strings of `__metadata__`. */
  readonly metadata: Readonly<Record<string, string>>;
  /** Tensors by name, in the order of the header. */
  readonly entries: Readonly<Record<string, SafetensorsEntry>>;
}

/**
 * Reads a safetensors file that is in memory. The tensors share memory with `bytes` wherever their
 * offset is aligned. Objects returned have no prototype.
 *
 * @param name what is being read, for messages
 * @throws NijimiError `format` when anything is not as the format wants it; `unsupported` for element types without a place here
 * @example
 * const { "conv_in.weight": weight } = parseSafetensors(await readFile("unet.safetensors"));
 */
export function parseSafetensors(
  bytes: Uint8Array,
  name = "safetensors file",
): Record<string, Tensor> {
  const headerBytes = safetensorsHeaderLength(bytes, bytes.length, name);
  const header = bytes.subarray(LENGTH_FIELD_BYTES, LENGTH_FIELD_BYTES + headerBytes);
  const plan = planSafetensors(header, bytes.length, name);
  const tensors = Object.create(null) as Record<string, Tensor>;
  for (const [key, { dtype, shape, offset }] of Object.entries(plan.entries)) {
    const data = viewBytes(dtype, bytes.buffer, bytes.byteOffset + offset, sizeOf(shape));
    tensors[key] = { dtype, shape, data };
  }
  return tensors;
}

/**
 * Length of the header in bytes, from the first eight bytes of a file.
 *
 * @param start at least the first eight bytes, or the whole file when it is shorter
 * @param fileSize bytes of the whole file
 */
export function safetensorsHeaderLength(start: Uint8Array, fileSize: number, name: string): number {
  const refuse = (problem: string) =>
    new NijimiError("format", `${name} is not valid safetensors: ${problem}.`);
  if (fileSize < LENGTH_FIELD_BYTES || start.length < LENGTH_FIELD_BYTES)
    throw refuse(
      `${fileSize} bytes are too few for the header's length; the file is empty or cut short`,
    );
  const length = new DataView(start.buffer, start.byteOffset).getBigUint64(0, true);
  if (length > BigInt(fileSize - LENGTH_FIELD_BYTES))
    throw refuse(
      `its header should have ${length} bytes, the whole file has ${fileSize}; it is cut short or of another format`,
    );
  if (length > BigInt(MAX_HEADER_BYTES))
    throw refuse(`its header should have ${length} bytes, at most ${MAX_HEADER_BYTES} are allowed`);
  if (length < 2n) throw refuse(`its header has ${length} bytes, at least "{}" is needed`);
  return Number(length);
}

/**
 * Reads a header and checks that its tensors fill the rest of the file exactly.
 *
 * @param header the JSON bytes after the length field
 * @param fileSize bytes of the whole file
 */
export function planSafetensors(
  header: Uint8Array,
  fileSize: number,
  name = "safetensors file",
): SafetensorsPlan {
  const parsed = parseHeader(header, name);
  const dataOffset = LENGTH_FIELD_BYTES + header.length;
  const entries = Object.create(null) as Record<string, SafetensorsEntry>;
  for (const key of Object.keys(parsed))
    if (key !== METADATA_KEY)
      entries[key] = parseEntry(
        parsed[key],
        dataOffset,
        () => `${name}: tensor ${JSON.stringify(key)}`,
      );
  checkCoverage(entries, dataOffset, fileSize, name);
  const metadata = Object.hasOwn(parsed, METADATA_KEY) ? parsed[METADATA_KEY] : undefined;
  return { metadata: parseMetadata(metadata, name), entries };
}

function parseHeader(header: Uint8Array, name: string): Record<string, JsonValue> {
  if (header[0] !== 0x7b)
    throw new NijimiError(
      "format",
      `${name} is not valid safetensors: its header must begin with "{".`,
    );
  // An object, since it begins with a brace.
  return parseLargeJson(decodeUtf8(header, name), { name: `The header of ${name}` }) as JsonObject;
}

function decodeUtf8(bytes: Uint8Array, name: string): string {
  try {
    return new TextDecoder("utf-8", { fatal: true, ignoreBOM: true }).decode(bytes);
  } catch (cause) {
    throw new NijimiError("format", `${name} is not valid safetensors: its header is not UTF-8.`, {
      cause,
    });
  }
}

function parseMetadata(metadata: JsonValue | undefined, name: string): Record<string, string> {
  if (metadata === undefined) return {};
  if (
    !isJsonObject(metadata) ||
    !Object.values(metadata).every((value) => typeof value === "string")
  )
    throw new NijimiError(
      "format",
      `${name} is not valid safetensors: "__metadata__" must be an object of strings.`,
    );
  return metadata as Record<string, string>;
}

function parseEntry(entry: JsonValue, dataOffset: number, where: () => string): SafetensorsEntry {
  const refuse = (problem: string) => new NijimiError("format", `${where()} ${problem}.`);
  if (!isJsonObject(entry))
    throw refuse(`must be described by an object; got ${JSON.stringify(entry)}`);
  const { dtype: dtypeName, shape, data_offsets: offsets } = entry;
  const dtype = parseDType(dtypeName, where);
  if (!isSizes(shape))
    throw refuse(`has the shape ${JSON.stringify(shape)}; expected whole numbers ≥ 0`);
  if (!isSizes(offsets) || offsets.length !== 2 || offsets[0] > offsets[1])
    throw refuse(
      `has the data_offsets ${JSON.stringify(offsets)}; expected [begin, end] with 0 ≤ begin ≤ end`,
    );
  const length = offsets[1] - offsets[0];
  // Products beyond 2^53 are inexact, but then far from any length a file can have.
  if (sizeOf(shape) * bytesPerElement(dtype) !== length)
    throw refuse(
      `has ${length} bytes; its shape [${shape}] and dtype ${dtype} need ${sizeOf(shape) * bytesPerElement(dtype)}`,
    );
  return { dtype, shape, offset: dataOffset + offsets[0], length };
}

function parseDType(name: JsonValue | undefined, where: () => string): DType {
  const dtype = typeof name === "string" ? DTYPES_BY_NAME.get(name) : undefined;
  if (dtype) return dtype;
  const accepted = [...DTYPES_BY_NAME.keys()].join(", ");
  throw new NijimiError(
    "format",
    `${where()} has the dtype ${JSON.stringify(name)}; accepted: ${accepted}.`,
  );
}

function isSizes(value: JsonValue | undefined): value is number[] {
  return (
    Array.isArray(value) &&
    value.every((item) => Number.isSafeInteger(item) && (item as number) >= 0)
  );
}

/** Every byte after the header belongs to exactly one tensor. */
function checkCoverage(
  entries: Readonly<Record<string, SafetensorsEntry>>,
  start: number,
  fileSize: number,
  name: string,
): void {
  const refuse = (problem: string) =>
    new NijimiError("format", `${name} is not valid safetensors: ${problem}.`);
  let end = start;
  for (const [key, entry] of Object.entries(entries).sort(
    ([, a], [, b]) => a.offset - b.offset || a.length - b.length,
  )) {
    if (entry.offset < end)
      throw refuse(`tensor ${JSON.stringify(key)} overlaps the one before it`);
    if (entry.offset > end)
      throw refuse(
        `${entry.offset - end} bytes before tensor ${JSON.stringify(key)} belong to no tensor`,
      );
    end = entry.offset + entry.length;
  }
  if (end > fileSize)
    throw refuse(`its tensors end at byte ${end}, the file has ${fileSize}; it is cut short`);
  if (end < fileSize)
    throw refuse(`${fileSize - end} bytes after the last tensor belong to no tensor`);
}

/** A header and the tensors in the order in which their bytes follow it. */
export interface SafetensorsLayout {
  /** Length field and JSON, padded so that the data begin at a multiple of eight bytes. */
  readonly header: Uint8Array;
  /** Names in the order of their data. */
  readonly order: readonly string[];
  /** Bytes of the whole file. */
  readonly size: number;
}

/** What a writer needs to know of a tensor before it has its data. */
export type TensorInfo = Pick<Tensor, "dtype" | "shape">;

/**
 * Lays out a file: wide elements first, then by name, so that every tensor is aligned and the same
 * tensors always give the same bytes.
 */
export function layoutSafetensors(
  tensors: Readonly<Record<string, TensorInfo>>,
  metadata: Readonly<Record<string, string>> = {},
): SafetensorsLayout {
  const order = Object.keys(tensors).sort(
    (a, b) =>
      bytesPerElement(tensors[b].dtype) - bytesPerElement(tensors[a].dtype) || (a < b ? -1 : 1),
  );
  const members: string[] = [];
  if (Object.keys(metadata).length > 0) members.push(`"__metadata__":${JSON.stringify(metadata)}`);
  let offset = 0;
  for (const key of order) {
    if (key === METADATA_KEY)
      throw new NijimiError(
        "option",
        'A tensor cannot be called "__metadata__" in a safetensors file; rename it.',
      );
    const { dtype, shape } = tensors[key];
    const end = offset + sizeOf(shape) * bytesPerElement(dtype);
    members.push(
      `${JSON.stringify(key)}:${JSON.stringify({ dtype: DTYPE_NAMES[dtype], shape, data_offsets: [offset, end] })}`,
    );
    offset = end;
  }
  const header = encodeHeader(`{${members.join(",")}}`);
  return { header, order, size: header.length + offset };
}

function encodeHeader(json: string): Uint8Array {
  const text = new TextEncoder().encode(json);
  const padded = Math.ceil(text.length / 8) * 8;
  const header = new Uint8Array(LENGTH_FIELD_BYTES + padded).fill(0x20);
  new DataView(header.buffer).setBigUint64(0, BigInt(padded), true);
  header.set(text, LENGTH_FIELD_BYTES);
  return header;
}

/**
 * Writes a safetensors file in memory. For files, `saveSafetensors` needs no copy of the data.
 *
 * @param metadata strings for the header's `__metadata__`
 * @example
 * await writeFile("unet.safetensors", writeSafetensors(parameters, { format: "pt" }));
 */
export function writeSafetensors(
  tensors: Readonly<Record<string, Tensor>>,
  metadata: Readonly<Record<string, string>> = {},
): Uint8Array<ArrayBuffer> {
  const { header, order, size } = layoutSafetensors(tensors, metadata);
  const bytes = new Uint8Array(size);
  bytes.set(header);
  let offset = header.length;
  for (const key of order) {
    const data = tensorBytes(tensors[key]);
    bytes.set(data, offset);
    offset += data.length;
  }
  return bytes;
}

/** The bytes of a tensor's data, sharing its memory. */
export function tensorBytes({ data }: Tensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}
