/**
 * CIFAR-10 and CIFAR-100 in their binary form: records of label bytes and 3 × 32 × 32 bytes in planes (Krizhevsky
 * 2009). A record of CIFAR-100 has a coarse and a fine label.
 */
import { openSource, type SourceInput } from "../../checkpoints/files/open-source.ts";
import { NijimiError } from "../../errors.ts";
import { baseName, type IndexedDataset, type Raster } from "../sample.ts";

/** Names of CIFAR-10's classes. */
export const CIFAR10_CLASSES = [
  "airplane",
  "automobile",
  "bird",
  "cat",
  "deer",
  "dog",
  "frog",
  "horse",
  "ship",
  "truck",
] as const;

const SIDE = 32;
const PIXELS = SIDE * SIDE;

export interface CifarOptions {
  /** @default 10 */
  readonly classes?: 10 | 100;
}

/**
 * The records of one or several binary files (`data_batch_1.bin` …), all in memory.
 *
 * @throws NijimiError `format` when a file is not a whole number of records or a label is out of range
 */
export async function cifarDataset(
  files: readonly SourceInput[],
  { classes = 10 }: CifarOptions = {},
): Promise<IndexedDataset> {
  const labelBytes = classes === 100 ? 2 : 1;
  const record = labelBytes + 3 * PIXELS;
  const parts = await Promise.all(files.map((file) => readRecords(file, record, classes)));
  const counts = parts.map(({ bytes }) => bytes.length / record);
  const size = counts.reduce((sum, count) => sum + count, 0);
  const locate = (index: number): { name: string; at: number; bytes: Uint8Array } => {
    let rest = index;
    for (const [i, part] of parts.entries()) {
      if (rest < counts[i]) return { ...part, at: rest * record };
      rest -= counts[i];
    }
    throw new NijimiError("option", `CIFAR: sample ${index} of ${size} does not exist.`);
  };
  return {
    kind: "indexed",
    name: parts[0]?.name ?? "CIFAR",
    size,
    ...(classes === 10 && { classes: CIFAR10_CLASSES }),
    key: (index) => `${baseName(locate(index).name)}:${index}`,
    read: async (index) => {
      const { name, at, bytes } = locate(index);
      const planes = bytes.subarray(at + labelBytes, at + record);
      return {
        key: `${baseName(name)}:${index}`,
        image: interleave(planes),
        label: bytes[at + labelBytes - 1],
      };
    },
  };
}

async function readRecords(
  file: SourceInput,
  record: number,
  classes: number,
): Promise<{ name: string; bytes: Uint8Array }> {
  const source = await openSource(file);
  const { name } = source;
  const bytes = await source.read(0, source.size).finally(() => source.close());
  if (bytes.length === 0 || bytes.length % record !== 0)
    throw new NijimiError(
      "format",
      `${name} has ${bytes.length} bytes, which is no multiple of a CIFAR-${classes} record of ${record}.`,
    );
  for (let at = record - 3 * PIXELS - 1; at < bytes.length; at += record)
    if (bytes[at] >= classes)
      throw new NijimiError(
        "format",
        `${name}: the label at byte ${at} is ${bytes[at]}; CIFAR-${classes} has labels below ${classes}.`,
      );
  return { name, bytes };
}

function interleave(planes: Uint8Array): Raster {
  const data = new Uint8Array(3 * PIXELS);
  for (let i = 0; i < PIXELS; i++)
    for (let channel = 0; channel < 3; channel++)
      data[3 * i + channel] = planes[channel * PIXELS + i];
  return { width: SIDE, height: SIDE, channels: 3, data };
}
