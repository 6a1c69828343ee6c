/** A safetensors file with one float32 tensor, for tests of weights that stay in their file. */
import { writeFile } from "node:fs/promises";
import { join } from "node:path";

/** Writes `weights.safetensors` with the tensor `w`; returns where its bytes lie. */
export async function writeSafetensorsFor(
  folder: string,
  shape: readonly number[],
  values: readonly number[],
) {
  const data = Buffer.from(Float32Array.from(values).buffer);
  const json = JSON.stringify({ w: { dtype: "F32", shape, data_offsets: [0, data.length] } });
  const header = json.padEnd(Math.ceil(json.length / 8) * 8);
  const size = Buffer.alloc(8);
  size.writeBigUInt64LE(BigInt(header.length));
  const name = "weights.safetensors";
  await writeFile(join(folder, name), Buffer.concat([size, Buffer.from(header), data]));
  return { name, offset: 8 + header.length, length: data.length };
}
