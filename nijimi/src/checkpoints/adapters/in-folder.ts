/** Adapters and embeddings in folders of their own, as diffusers, PEFT and model hubs keep them. */
import type { Checkpoint } from "../checkpoint.ts";
import { readText, type Folder } from "../files/folder.ts";
import { parseJsonObject, type JsonObject } from "../json.ts";
import { openCheckpoint } from "../open-checkpoint.ts";

const ENDINGS = ["safetensors", "bin", "pt"];

/** Names of low-rank adapters' files, by tool. */
export const ADAPTER_FILES = ["pytorch_lora_weights", "adapter_model"];

/** Names of embeddings' files. */
export const EMBEDDING_FILES = ["learned_embeds"];

/** Opens the first file of the given names that a folder has; undefined when it has none. */
export async function openInFolder(
  folder: Folder,
  stems: readonly string[],
): Promise<Checkpoint | undefined> {
  for (const stem of stems)
    for (const ending of ENDINGS) {
      const source = await folder.open(`${stem}.${ending}`);
      if (source) return openCheckpoint(source);
    }
  return undefined;
}

/** PEFT's settings beside its weights. */
export async function readAdapterConfig(folder: Folder): Promise<JsonObject | undefined> {
  const source = await folder.open("adapter_config.json");
  if (!source) return undefined;
  const text = await readText(source).finally(() => source.close());
  return parseJsonObject(text, { nonFinite: true, name: `${folder.name}/adapter_config.json` });
}
