/**
 * GGUF, the format of llama.cpp and stable-diffusion.cpp. Quantised tensors are given as float32; their
 * entries say which block format the file holds.
 */
import { NijimiError } from "../../errors.ts";
import { bytesPerElement } from "../../tensor/dtype.ts";
import { sizeOf, tensor } from "../../tensor/tensor.ts";
import { rawEntry, type Checkpoint, type Entry, type MetadataValue } from "../checkpoint.ts";
import { readGrowing } from "../files/byte-reader.ts";
import type { ByteSource } from "../files/byte-source.ts";
import { damagedGguf, parseGgufHeader, type GgufHeader, type GgufTensor } from "./header.ts";
import { GGML_TYPES, OTHER_GGML_TYPES, type BlockType, type PlainType } from "./types.ts";

/** Opens a GGUF file. */
export async function openGguf(source: ByteSource): Promise<Checkpoint> {
  const { name } = source;
  const header = await readGrowing(source, (bytes) => parseGgufHeader(bytes, name));
  const entries = Object.create(null) as Record<string, Entry>;
  for (const described of header.tensors) {
    if (described.name in entries)
      throw damagedGguf(name, `the tensor ${JSON.stringify(described.name)} is there twice`);
    entries[described.name] = tensorEntry(described, header, source);
  }
  return { format: "gguf", name, metadata: header.metadata, entries, close: () => source.close() };
}

function tensorEntry(described: GgufTensor, header: GgufHeader, source: ByteSource): Entry {
  const where = `${source.name}: tensor ${JSON.stringify(described.name)}`;
  const type = typeOf(described, where);
  const length = bytesOf(described, type, where);
  const offset = header.dataOffset + described.offset;
  if (described.offset % header.alignment !== 0)
    throw damagedGguf(
      where,
      `it begins at ${described.offset}, which is not aligned to ${header.alignment}`,
    );
  if (!(offset + length <= source.size))
    throw damagedGguf(
      where,
      `it would reach to byte ${offset + length} of ${source.size}; the file is cut short`,
    );
  const shape = shapeOf(described, header.metadata, where);
  if ("dtype" in type) return rawEntry(source, { dtype: type.dtype, shape, offset, length });
  return {
    dtype: "float32",
    shape,
    quantization: type.name,
    read: async () =>
      tensor(
        "float32",
        shape,
        type.dequantize(await source.read(offset, length), length / type.bytes),
      ),
  };
}

function typeOf({ type }: GgufTensor, where: string): PlainType | BlockType {
  const known = GGML_TYPES[type];
  if (known) return known;
  const accepted = Object.values(GGML_TYPES)
    .map(({ name }) => name)
    .join(", ");
  throw new NijimiError(
    "unsupported",
    `${where} has the type ${OTHER_GGML_TYPES[type] ?? type}; accepted: ${accepted}.`,
  );
}

function bytesOf({ sizes }: GgufTensor, type: PlainType | BlockType, where: string): number {
  if (!sizes.every(Number.isSafeInteger)) throw damagedGguf(where, `its sizes are [${sizes}]`);
  const elements = sizeOf(sizes);
  if ("dtype" in type) return elements * bytesPerElement(type.dtype);
  if ((sizes[0] ?? 1) % type.elements !== 0)
    throw damagedGguf(
      where,
      `rows of ${sizes[0]} elements do not fill blocks of ${type.elements} (${type.name})`,
    );
  return (elements / type.elements) * type.bytes;
}

/**
 * The shape, slowest-running axis first. Tensors that had to be reshaped for their blocks keep the original
 * shape in the metadata (a convention of ComfyUI's files).
 */
function shapeOf(
  { name, sizes }: GgufTensor,
  metadata: GgufHeader["metadata"],
  where: string,
): readonly number[] {
  const original = metadata[`comfy.gguf.orig_shape.${name}`];
  if (original === undefined) return [...sizes].reverse();
  if (isShape(original) && sizeOf(original) === sizeOf(sizes)) return original;
  throw damagedGguf(
    where,
    `its original shape is ${String(original)}, which does not fit [${[...sizes].reverse()}]`,
  );
}

function isShape(value: MetadataValue): value is number[] {
  return (
    Array.isArray(value) &&
    value.every((size) => typeof size === "number" && Number.isSafeInteger(size) && size >= 0)
  );
}
