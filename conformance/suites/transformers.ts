/** Encoders of text and images against transformers, T5 and ViT, and ViT against google-research's from its own arrays. */
import { loadCheckpoint, readAll } from "nijimi/checkpoints";
import { type Sym, transpose } from "nijimi/graph";
import { readT5EncoderConfig, readVitConfig, t5Encoder, vit } from "nijimi/models";
import type { Scope } from "nijimi/nn";
import type { Case, Comparison, Suite } from "../case.ts";
import { companionFile } from "./companion-file.ts";
import type { Config } from "./config-values.ts";
import { runLayer } from "./run-layer.ts";

type Forward = (inputs: Readonly<Record<string, Sym>>, scope: Scope) => Record<string, Sym>;

const MODELS: Readonly<Record<string, (config: Config) => Forward>> = {
  T5EncoderModel: (config) => {
    const encoder = t5Encoder(readT5EncoderConfig(config));
    return ({ ids, input_ids: inputIds = ids, attention_mask: attentionMask }, scope) => ({
      last_hidden_state: encoder.apply(scope, "", { ids: inputIds, attentionMask }),
    });
  },
  ViTForImageClassification: (config) => {
    const network = vit(readVitConfig(config));
    return (inputs, scope) => {
      const { logits, hiddenState, lastHiddenState } = network.apply(
        scope,
        "",
        inputs["pixel_values"],
      );
      return { logits, last_hidden: hiddenState, last_hidden_state: lastHiddenState };
    };
  },
};

const nameOf = ({ json }: Case): string => json.function?.split(".").at(-1) ?? "";

const VIT_JAX = "vit_jax.models_vit.VisionTransformer";

export const suite: Suite = {
  kind: "transformers",
  accepts: (c) =>
    c.json.function === VIT_JAX ||
    (c.json.section === "models" && Object.hasOwn(MODELS, nameOf(c))),
  run: (c, { device }) =>
    c.json.function === VIT_JAX
      ? runReleased(c, device)
      : runLayer(c, {
          device,
          forward: MODELS[nameOf(c)](c.json.config ?? {}),
          gradientOf: "logits",
        }),
};

/** The network of a released file, which the case names as `config.npz`; its images have channels last. */
async function runReleased(c: Case, device: string): Promise<Comparison[]> {
  const name = String(c.json.config?.["npz"]);
  const file = companionFile(c, name);
  if (file === undefined) throw new Error(`the case's file ${name} is not there`);
  const checkpoint = await loadCheckpoint(file);
  try {
    const [{ config, entries }] = Object.values(checkpoint.components);
    const network = vit(readVitConfig(config as Config));
    return await runLayer(c, {
      device,
      weights: await readAll(entries),
      forward: ({ x_nhwc: images }, scope) => ({
        logits: network.apply(scope, "", transpose(images, [0, 3, 1, 2])).logits,
      }),
    });
  } finally {
    await checkpoint.close();
  }
}
