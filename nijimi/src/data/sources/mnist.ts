/**
 * MNIST and its relatives (Fashion-MNIST, KMNIST) in the idx format: a magic number 0, 0, type, rank, then big-endian
 * dimensions, then the elements. Files may be gzipped, as they are published.
 */
import { openSource, type SourceInput } from "../../checkpoints/files/open-source.ts";
import { NijimiError } from "../../errors.ts";
import { sizeOf, tensor, type Tensor } from "../../tensor/tensor.ts";
import { baseName, type IndexedDataset } from "../sample.ts";

const UNSIGNED_BYTE = 0x08;

/**
 * Pictures and labels, all in memory.
 *
 * @param images `train-images-idx3-ubyte` or its `.gz`
 * @param labels `train-labels-idx1-ubyte`; without it the samples have no labels
 * @example
 * const set = await mnistDataset("train-images-idx3-ubyte.gz", "train-labels-idx1-ubyte.gz");
 */
export async function mnistDataset(
  images: SourceInput,
  labels?: SourceInput,
): Promise<IndexedDataset> {
  const pictures = await readIdx(images, 3);
  const classes = labels === undefined ? undefined : await readIdx(labels, 1);
  const [size, height, width] = pictures.data.shape;
  if (classes && classes.data.shape[0] !== size)
    throw new NijimiError(
      "format",
      `${classes.name} has ${classes.data.shape[0]} labels for the ${size} pictures of ${pictures.name}.`,
    );
  const pixels = height * width;
  return {
    kind: "indexed",
    name: pictures.name,
    size,
    key: (index) => `${baseName(pictures.name)}:${index}`,
    read: async (index) => ({
      key: `${baseName(pictures.name)}:${index}`,
      image: {
        width,
        height,
        channels: 1,
        data: pictures.data.data.subarray(index * pixels, (index + 1) * pixels),
      },
      ...(classes && { label: classes.data.data[index] }),
    }),
  };
}

async function readIdx(
  input: SourceInput,
  rank: number,
): Promise<{ name: string; data: Tensor<"uint8"> }> {
  const source = await openSource(input);
  const { name } = source;
  const bytes = await inflate(
    await source.read(0, source.size).finally(() => source.close()),
    name,
  );
  return { name, data: parseIdx(bytes, rank, name) };
}

/** The array of an idx file of unsigned bytes. */
export function parseIdx(bytes: Uint8Array, rank: number, name: string): Tensor<"uint8"> {
  const header = 4 + 4 * rank;
  if (
    bytes.length < header ||
    bytes[0] !== 0 ||
    bytes[1] !== 0 ||
    bytes[2] !== UNSIGNED_BYTE ||
    bytes[3] !== rank
  )
    throw new NijimiError(
      "format",
      `${name} does not begin like an idx file of ${rank} dimensions of bytes; got ${[...bytes.subarray(0, 4)].join(" ")}, expected 0 0 8 ${rank}.`,
    );
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const shape = Array.from({ length: rank }, (_, axis) => view.getUint32(4 + 4 * axis));
  if (sizeOf(shape) !== bytes.length - header)
    throw new NijimiError(
      "format",
      `${name} says it holds [${shape}] bytes, but ${bytes.length - header} follow; it is cut short or damaged.`,
    );
  return tensor("uint8", shape, bytes.subarray(header));
}

async function inflate(bytes: Uint8Array<ArrayBuffer>, name: string): Promise<Uint8Array> {
  if (bytes[0] !== 0x1f || bytes[1] !== 0x8b) return bytes;
  try {
    const plain = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("gzip"));
    return new Uint8Array(await new Response(plain).arrayBuffer());
  } catch (cause) {
    throw new NijimiError("format", `${name} is not a whole gzip file.`, { cause });
  }
}
