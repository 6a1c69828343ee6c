/**
 * Half-precision weights in files, as a temporary file of float32 ones that the runtime maps into memory. Without it
 * the runtime reads and converts all weights of a network before it lets go of the first, and the peak is far above
 * the float32 size.
 */
import { once } from "node:events";
import { createWriteStream } from "node:fs";
import { type FileHandle, mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type ExternalData, isExternal, type OnnxModel } from "../onnx/model.ts";
import { type HalfWeight, halfWeights, relocateWeights } from "../onnx/widen.ts";
import { decodeMinifloat } from "../tensor/minifloat.ts";
import type { WideModel } from "./engine.ts";

/** Half-precision weights of a smaller size are left to the runtime. */
const SMALLEST = 2 ** 26;
/** Bytes read at a time. */
const CHUNK = 2 ** 22;
/** Where a tensor may begin in a file that is mapped. */
const ALIGNMENT = 4096;
const FILE = "weights";

/**
 * The model with float32 weights; undefined where there is too little in half precision for it to matter.
 *
 * @param smallest bytes in half precision that matter @default 64 MB
 */
export async function widenWeights(
  model: OnnxModel,
  weightsFolder: string,
  smallest = SMALLEST,
): Promise<WideModel | undefined> {
  const halves = halfWeights(model);
  if (halves.reduce((sum, { value }) => sum + value.length, 0) < smallest) return undefined;
  const folder = await mkdtemp(join(tmpdir(), "nijimi-weights-"));
  const remove = () => rm(folder, { recursive: true, force: true }).catch(() => undefined);
  try {
    const places = await writeWide(model, halves, weightsFolder, join(folder, FILE));
    return { model: relocateWeights(model, halves, places), weightsFolder: folder, remove };
  } catch (error) {
    await remove();
    throw error;
  }
}

/** Writes all weights that lie in files, and says where each is. */
async function writeWide(
  { graph }: OnnxModel,
  halves: readonly HalfWeight[],
  weightsFolder: string,
  path: string,
): Promise<ReadonlyMap<string, ExternalData>> {
  const wide = new Set(halves.map(({ name }) => name));
  const tables = { float16: floatsOf("float16"), bfloat16: floatsOf("bfloat16") };
  const places = new Map<string, ExternalData>();
  const files = new Map<string, FileHandle>();
  const out = createWriteStream(path);
  const failed = once(out, "error").then(([error]) => Promise.reject(error as Error));
  let end = 0;
  const write = async (bytes: Uint8Array) => {
    end += bytes.length;
    if (!out.write(bytes)) await Promise.race([once(out, "drain"), failed]);
  };
  try {
    for (const { name, value } of graph.initializers) {
      if (!isExternal(value)) continue;
      await write(new Uint8Array(-end & (ALIGNMENT - 1)));
      const offset = end;
      const file = files.get(value.location) ?? (await open(join(weightsFolder, value.location)));
      files.set(value.location, file);
      for (let done = 0; done < value.length; done += CHUNK) {
        const chunk = new Uint8Array(Math.min(CHUNK, value.length - done));
        await file.read(chunk, 0, chunk.length, value.offset + done);
        const isWide = wide.has(name);
        await write(isWide ? widened(chunk, tables[value.dtype as "float16"]) : chunk);
      }
      const dtype = wide.has(name) ? "float32" : value.dtype;
      places.set(name, { ...value, dtype, location: FILE, offset, length: end - offset });
    }
    out.end();
    await Promise.race([once(out, "close"), failed]);
  } finally {
    out.destroy();
    for (const file of files.values()) await file.close();
  }
  return places;
}

/** The float32 of every code. */
function floatsOf(dtype: "float16" | "bfloat16"): Float32Array {
  return decodeMinifloat(
    dtype,
    Uint16Array.from({ length: 2 ** 16 }, (_, code) => code),
  );
}

function widened(halves: Uint8Array, table: Float32Array): Uint8Array {
  const codes = new Uint16Array(halves.buffer, 0, halves.length / 2);
  const floats = new Float32Array(codes.length);
  for (let i = 0; i < codes.length; i++) floats[i] = table[codes[i]];
  return new Uint8Array(floats.buffer);
}
