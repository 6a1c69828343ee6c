/**
 * OpenAI's U-Net layout against diffusers' UNet2DConditionModel and UNet2DModel.
 *
 * One map serves latent diffusion, Stable Diffusion, SDXL (attention is a spatial transformer) and
 * guided-diffusion, improved-diffusion (plain attention with queries, keys and values in one matrix).
 */
import type { KeyMap, ModuleRule, Rule } from "./key-map.ts";
import { renames } from "./key-map.ts";
import type { UNetOutline } from "./unet-outline.ts";

/** How queries, keys and values lie in the single matrix of OpenAI's attention. */
export type QkvOrder =
  /** Legacy: cut into heads first, each with its q, k and v. improved-diffusion and most of guided-diffusion. */
  | { readonly order: "heads-first"; readonly headChannels: number }
  /** `use_new_attention_order`: all of q, then k, then v. */
  | { readonly order: "qkv-first" };

/** The parts of the layout that an outline does not tell. */
export interface OpenAIUNetOptions {
  /** What `label_emb` is in ours. @default "class_embedding" as an embedding table */
  readonly labels?: "class-table" | "class-mlp" | "addition-mlp";
  /** Needed where attention is plain self-attention. @default { order: "qkv-first" } */
  readonly qkv?: QkvOrder;
}

const RESIDUAL = renames(
  ["in_layers.0", "norm1"],
  ["in_layers.2", "conv1"],
  ["emb_layers.1", "time_emb_proj"],
  ["out_layers.0", "norm2"],
  ["out_layers.3", "conv2"],
  ["skip_connection", "conv_shortcut"],
);

const LABELS = {
  "class-table": [{ foreign: "label_emb", ours: "class_embedding" }],
  "class-mlp": [
    { foreign: "label_emb.0.0", ours: "class_embedding.linear_1" },
    { foreign: "label_emb.0.2", ours: "class_embedding.linear_2" },
  ],
  "addition-mlp": [
    { foreign: "label_emb.0.0", ours: "add_embedding.linear_1" },
    { foreign: "label_emb.0.2", ours: "add_embedding.linear_2" },
  ],
} as const satisfies Record<string, KeyMap>;

/** The whole network. */
export function openAIUNetMap(outline: UNetOutline, options: OpenAIUNetOptions = {}): KeyMap {
  return [
    ...openAIEncoderMap(outline, options),
    ...decoder(outline, options),
    { foreign: "out.0", ours: "conv_norm_out" },
    { foreign: "out.2", ours: "conv_out" },
  ];
}

/** Everything up to the middle: what a ControlNet shares with the U-Net. */
export function openAIEncoderMap(outline: UNetOutline, options: OpenAIUNetOptions = {}): KeyMap {
  const map: ModuleRule[] = [
    { foreign: "time_embed.0", ours: "time_embedding.linear_1" },
    { foreign: "time_embed.2", ours: "time_embedding.linear_2" },
    ...LABELS[options.labels ?? "class-table"],
    { foreign: "input_blocks.0.0", ours: "conv_in" },
  ];
  const attention = (level: number, channels: number) =>
    attentionRules(outline, options, level, channels);
  outline.levels.forEach(({ channels, layers, attention: attends }, i) => {
    const first = 1 + outline.levels.slice(0, i).reduce((sum, level) => sum + level.layers + 1, 0);
    for (let j = 0; j < layers; j++) {
      map.push({
        foreign: `input_blocks.${first + j}.0`,
        ours: `down_blocks.${i}.resnets.${j}`,
        rules: RESIDUAL,
      });
      if (!attends) continue;
      const [theirs, ours] = [`input_blocks.${first + j}.1`, `down_blocks.${i}.attentions.${j}`];
      map.push({ foreign: theirs, ours, rules: attention(i, channels) });
    }
    if (i === outline.levels.length - 1) return;
    const foreign = `input_blocks.${first + layers}.0`;
    if (outline.residualSampling)
      map.push({ foreign, ours: `down_blocks.${i}.downsamplers.0`, rules: RESIDUAL });
    else map.push({ foreign: `${foreign}.op`, ours: `down_blocks.${i}.downsamplers.0.conv` });
  });
  const { channels } = outline.levels[outline.levels.length - 1];
  const second = outline.middle.attention ? 2 : 1;
  map.push({ foreign: "middle_block.0", ours: "mid_block.resnets.0", rules: RESIDUAL });
  map.push({ foreign: `middle_block.${second}`, ours: "mid_block.resnets.1", rules: RESIDUAL });
  if (outline.middle.attention) {
    const rules = attention(outline.levels.length - 1, channels);
    map.push({ foreign: "middle_block.1", ours: "mid_block.attentions.0", rules });
  }
  return map;
}

function decoder(outline: UNetOutline, options: OpenAIUNetOptions): KeyMap {
  const map: ModuleRule[] = [];
  let n = 0;
  outline.levels.toReversed().forEach(({ channels, layers, attention }, i) => {
    const level = outline.levels.length - 1 - i;
    for (let j = 0; j <= layers; j++, n++) {
      map.push({
        foreign: `output_blocks.${n}.0`,
        ours: `up_blocks.${i}.resnets.${j}`,
        rules: RESIDUAL,
      });
      if (!attention) continue;
      const rules = attentionRules(outline, options, level, channels);
      map.push({ foreign: `output_blocks.${n}.1`, ours: `up_blocks.${i}.attentions.${j}`, rules });
    }
    if (level === 0) return;
    const foreign = `output_blocks.${n - 1}.${attention ? 2 : 1}`;
    if (outline.residualSampling)
      map.push({ foreign, ours: `up_blocks.${i}.upsamplers.0`, rules: RESIDUAL });
    else map.push({ foreign: `${foreign}.conv`, ours: `up_blocks.${i}.upsamplers.0.conv` });
  });
  return map;
}

/** A spatial transformer has the same names here and there; plain attention has its own. */
function attentionRules(
  outline: UNetOutline,
  { qkv }: OpenAIUNetOptions,
  _level: number,
  channels: number,
): readonly Rule[] {
  if (outline.attention === "transformer") return [];
  const squeeze = { kind: "squeeze", spatial: 1 } as const;
  const heads = qkv?.order === "heads-first" ? channels / qkv.headChannels : 1;
  return [
    { foreign: "norm", ours: "group_norm" },
    {
      foreign: "qkv",
      ours: ["to_q", "to_k", "to_v"],
      transform: [squeeze, { kind: "heads", heads }],
    },
    { foreign: "proj_out", ours: "to_out.0", transform: [squeeze] },
  ];
}
