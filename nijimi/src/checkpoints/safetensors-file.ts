/** A safetensors file by positional reads: opening it reads the header, whatever the size of the file. */
import type { Checkpoint, Entry } from "./checkpoint.ts";
import { rawEntry } from "./checkpoint.ts";
import type { ByteSource } from "./files/byte-source.ts";
import { LENGTH_FIELD_BYTES, planSafetensors, safetensorsHeaderLength } from "./safetensors.ts";

/** Opens a safetensors file. */
export async function openSafetensors(source: ByteSource): Promise<Checkpoint> {
  const { name, size } = source;
  const start = await source.read(0, Math.min(size, LENGTH_FIELD_BYTES));
  const header = await source.read(LENGTH_FIELD_BYTES, safetensorsHeaderLength(start, size, name));
  const plan = planSafetensors(header, size, name);
  const entries = Object.create(null) as Record<string, Entry>;
  for (const [key, range] of Object.entries(plan.entries)) entries[key] = rawEntry(source, range);
  return {
    format: "safetensors",
    name,
    metadata: plan.metadata,
    entries,
    close: () => source.close(),
  };
}
