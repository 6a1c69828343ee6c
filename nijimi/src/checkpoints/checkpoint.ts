/**
 * The one form in which every checkpoint is seen, whatever file it comes from: tensors by name, none of
 * them read yet, and everything else the file holds as metadata.
 */
import type { QuantizedForm } from "../graph/quantize-weights.ts";
import type { DType } from "../tensor/dtype.ts";
import { sizeOf, tensor, type Tensor } from "../tensor/tensor.ts";
import { viewBytes } from "../tensor/dtype.ts";
import type { ByteSource } from "./files/byte-source.ts";

/** The formats that are read. */
export const CHECKPOINT_FORMATS = [
  "safetensors", // one file, or several with an index
  "torch-zip", // torch.save since 1.6
  "torch-legacy", // torch.save before 1.6
  "torchscript", // torch.jit.save; only its weights are read
  "pickle", // a bare pickle of plain containers and arrays
  "npy",
  "npz",
  "gguf",
] as const;

export type CheckpointFormat = (typeof CHECKPOINT_FORMATS)[number];

/** A run of bytes in a file on this machine. */
export interface Location {
  /** Absolute path. */
  readonly file: string;
  /** First byte, counted from the beginning of the file. */
  readonly offset: number;
  /** Number of bytes. */
  readonly length: number;
}

/** A tensor of a checkpoint, read when asked for. */
export interface Entry {
  /** Element type of what {@link Entry.read} gives. */
  readonly dtype: DType;
  readonly shape: readonly number[];
  /**
   * Where the elements lie on disk, dense, row-major and little-endian; absent when they are compressed,
   * strided, quantised or not on this machine. ONNX Runtime can read weights from there without a copy.
   */
  readonly location?: Location;
  /** Name of the block format when the file holds quantised values, e.g. `"Q4_K"`; `read` gives them as float32. */
  readonly quantization?: string;
  /** The integers and scales that stand for a weight which this library has quantised; `read` gives it as float32. */
  readonly quantized?: QuantizedEntry;
  /** Reads the elements. Nothing is kept: a second call reads again. */
  read(): Promise<Tensor>;
}

/** See {@link Entry.quantized}. */
export interface QuantizedEntry {
  readonly form: QuantizedForm;
  readonly values: Entry;
  readonly scale: Entry;
}

/** Name of the tensor in a file that holds a single one without a name. */
export const ROOT_NAME = "value";

/** Tensors by name. Made without a prototype, so that any name is a name. */
export type Entries = Readonly<Record<string, Entry>>;

/** Whatever a checkpoint holds beside tensors: step counts, hyperparameters, the header's strings. */
export type MetadataValue =
  | string
  | number
  | bigint
  | boolean
  | null
  | Uint8Array
  | readonly MetadataValue[]
  | Metadata;

export interface Metadata {
  readonly [key: string]: MetadataValue;
}

/** An open checkpoint. */
export interface Checkpoint {
  readonly format: CheckpointFormat;
  /** Name of the file, for messages. */
  readonly name: string;
  readonly metadata: Metadata;
  readonly entries: Entries;
  /** Closes the file; entries cannot be read afterwards. */
  close(): Promise<void>;
}

/** An entry whose elements lie in `source` as they are: dense, row-major, little-endian. */
export function rawEntry(source: ByteSource, { dtype, shape, offset, length }: RawRange): Entry {
  const location = source.path === undefined ? undefined : { file: source.path, offset, length };
  return {
    dtype,
    shape,
    location,
    read: async () => tensorOfBytes(dtype, shape, await source.read(offset, length)),
  };
}

/** Where a dense tensor lies in a source. */
export interface RawRange {
  readonly dtype: DType;
  readonly shape: readonly number[];
  readonly offset: number;
  readonly length: number;
}

/** A tensor over little-endian bytes, sharing their memory where it is aligned. */
export function tensorOfBytes<D extends DType>(
  dtype: D,
  shape: readonly number[],
  bytes: Uint8Array,
): Tensor<D> {
  return tensor(dtype, shape, viewBytes(dtype, bytes.buffer, bytes.byteOffset, sizeOf(shape)));
}

/** An entry over a tensor that is in memory. */
export function entryOf(value: Tensor): Entry {
  return { dtype: value.dtype, shape: value.shape, read: async () => value };
}

/**
 * Reads all tensors, for files that fit into memory.
 *
 * @example
 * const checkpoint = await openCheckpoint("taesd_decoder.pth");
 * const parameters = await readAll(checkpoint.entries);
 */
export async function readAll(entries: Entries): Promise<Record<string, Tensor>> {
  const tensors = Object.create(null) as Record<string, Tensor>;
  for (const [name, entry] of Object.entries(entries)) tensors[name] = await entry.read();
  return tensors;
}
