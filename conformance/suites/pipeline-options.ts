/** What a case's pipeline is loaded with. */
import { existsSync } from "node:fs";
import { dirname, join } from "node:path";
import { writeSafetensors } from "nijimi/checkpoints";
import type { PipelineOptions } from "nijimi/pipelines";
import type { Case } from "../case.ts";

/** Adapters, ControlNets, embedding and tokenizers that the case names or that lie beside the checkpoint. */
export function pipelineOptions(c: Case, checkpoint: string): PipelineOptions {
  const config = c.json.config ?? {};
  const family = join(c.root, dirname(checkpoint));
  const tokenizers = ["tokenizer", "tokenizer_2"].filter((name) =>
    existsSync(join(family, "diffusers", name)),
  );
  const isFile = /\.\w+$/.test(checkpoint);
  const lora = c.json["lora_file"];
  const token = c.json["token"];
  const embedding = c.tensors()["in.embedding"];
  const controlNets = (config["controlnets"] as string[] | undefined)?.map(
    (file, i) => [`control${i}`, join(c.root, file)] as const,
  );
  const adapters = listed(c, "adapters");
  const imagePrompts = listed(c, "ip_adapters");
  const encoder = config["image_encoder"];
  return {
    ...(adapters && { adapters }),
    ...(imagePrompts && { imagePrompts }),
    ...(typeof encoder === "string" && { imageEncoder: join(c.root, encoder) }),
    ...(typeof lora === "string" && { loras: { lora: join(c.root, lora) } }),
    ...(typeof token === "string" &&
      embedding && { embeddings: { [token]: writeSafetensors({ emb_params: embedding }) } }),
    controlNets: controlNets
      ? Object.fromEntries(controlNets)
      : { control: join(family, "controlnet") },
    ...(isFile && {
      tokenizers: Object.fromEntries(
        tokenizers.map((name) => [name, join(family, "diffusers", name)]),
      ),
    }),
  };
}

/** Files of adapters by their place in the case's list. */
function listed(c: Case, key: string): Readonly<Record<string, string>> | undefined {
  const list = c.json.config?.[key] as readonly { readonly file: string }[] | undefined;
  return (
    list && Object.fromEntries(list.map(({ file }, i) => [String(i), join(c.root, file)] as const))
  );
}
