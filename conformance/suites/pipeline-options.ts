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
  return {
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
