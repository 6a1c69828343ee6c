/** Which model an adapter or embedding was made for, told from the widths of what it changes. */
import type { Entries, Metadata } from "../checkpoint.ts";
import type { AdapterModule } from "../adapters/modules.ts";

/** Width of the text that the U-Net looks at. */
const BY_CONTEXT: Readonly<Record<number, string>> = {
  768: "Stable Diffusion 1",
  1024: "Stable Diffusion 2",
  2048: "Stable Diffusion XL",
  1280: "Stable Diffusion XL refiner",
};

/** Width of an embedding for the first text encoder. */
const BY_EMBEDDING: Readonly<Record<number, string>> = {
  768: "Stable Diffusion 1",
  1024: "Stable Diffusion 2",
  1280: "Stable Diffusion XL",
};

/** What kohya's trainer writes into the header, by how it begins. */
const BY_VERSION: readonly (readonly [start: string, base: string])[] = [
  ["sdxl", "Stable Diffusion XL"],
  ["sd_v1", "Stable Diffusion 1"],
  ["sd_v2", "Stable Diffusion 2"],
  ["sd3", "Stable Diffusion 3"],
  ["flux", "FLUX"],
];

/** The base of an adapter: as its header says, or by the inputs of a cross-attention's keys. */
export function baseOfAdapter(
  modules: readonly AdapterModule[],
  metadata: Metadata,
): string | undefined {
  const version = String(metadata.ss_base_model_version ?? "");
  const stated = BY_VERSION.find(([start]) => version.startsWith(start))?.[1];
  if (stated !== undefined) return stated;
  for (const { name, parts } of modules) {
    if (
      /transformer_blocks[._]\d+[._]ff_context|double_blocks|single_transformer_blocks/.test(name)
    )
      return "FLUX or Stable Diffusion 3";
    if (/attn2.*to_[kv]\b|attn2_to_[kv]$/.test(name) && parts.down)
      return BY_CONTEXT[parts.down.shape[1]];
  }
  return modules.some(({ name }) => name.startsWith("lora_te2_"))
    ? "Stable Diffusion XL"
    : undefined;
}

/** The base of an embedding, by its widths. */
export function baseOfEmbedding(vectors: Entries): string | undefined {
  if ("text_encoder_2" in vectors) return "Stable Diffusion XL";
  return BY_EMBEDDING[vectors.text_encoder?.shape[1] ?? 0];
}
