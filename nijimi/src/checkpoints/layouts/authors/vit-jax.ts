/**
 * google-research/vision_transformer's released arrays against transformers' ViTForImageClassification.
 *
 * Flax keeps matrices as [in, out], splits heads into axes of their own, and separates names by slashes.
 * The layer before the head that some models have is the pooler here: both are a linear layer and tanh.
 */
import type { Entries, Entry } from "../../checkpoint.ts";
import { renames, type KeyMap, type Rule, type Transform } from "../key-map.ts";
import type { FoundConfig } from "../component.ts";
import { shapeOf } from "../stable-diffusion/configs.ts";

const LINEAR: readonly Rule[] = [
  { foreign: "kernel", ours: "weight", transform: [{ kind: "transpose" }] },
  { foreign: "bias", ours: "bias" },
];
const NORM = renames(["scale", "weight"], ["bias", "bias"]);

/** The names of a file with dots in place of slashes. */
export function withDots(entries: Entries): Entries {
  return Object.fromEntries(
    Object.entries(entries).map(([name, entry]): [string, Entry] => [
      name.replaceAll("/", "."),
      entry,
    ]),
  );
}

/** @param entries names with dots */
export function vitJaxMap(entries: Entries): KeyMap {
  const [width, heads, headWidth] = shapeOf(
    entries,
    "Transformer.encoderblock_0.MultiHeadDotProductAttention_1.query.kernel",
  );
  const toHeads: readonly Rule[] = [
    {
      foreign: "kernel",
      ours: "weight",
      transform: fold([width, heads, headWidth], [width, heads * headWidth]),
    },
    {
      foreign: "bias",
      ours: "bias",
      transform: [{ kind: "reshape", foreign: [heads, headWidth], ours: [-1] }],
    },
  ];
  const fromHeads: readonly Rule[] = [
    {
      foreign: "kernel",
      ours: "weight",
      transform: fold([heads, headWidth, width], [heads * headWidth, width]),
    },
    { foreign: "bias", ours: "bias" },
  ];
  const blocks = Array.from({ length: countLayers(entries) }, (_, i) => {
    const [theirs, ours] = [`Transformer.encoderblock_${i}`, `vit.encoder.layer.${i}`];
    const attention = `${theirs}.MultiHeadDotProductAttention_1`;
    return [
      { foreign: `${theirs}.LayerNorm_0`, ours: `${ours}.layernorm_before`, rules: NORM },
      { foreign: `${attention}.query`, ours: `${ours}.attention.attention.query`, rules: toHeads },
      { foreign: `${attention}.key`, ours: `${ours}.attention.attention.key`, rules: toHeads },
      { foreign: `${attention}.value`, ours: `${ours}.attention.attention.value`, rules: toHeads },
      { foreign: `${attention}.out`, ours: `${ours}.attention.output.dense`, rules: fromHeads },
      { foreign: `${theirs}.LayerNorm_2`, ours: `${ours}.layernorm_after`, rules: NORM },
      {
        foreign: `${theirs}.MlpBlock_3.Dense_0`,
        ours: `${ours}.intermediate.dense`,
        rules: LINEAR,
      },
      { foreign: `${theirs}.MlpBlock_3.Dense_1`, ours: `${ours}.output.dense`, rules: LINEAR },
    ];
  });
  return [
    { foreign: "cls", ours: "vit.embeddings.cls_token" },
    {
      foreign: "Transformer.posembed_input.pos_embedding",
      ours: "vit.embeddings.position_embeddings",
    },
    {
      foreign: "embedding",
      ours: "vit.embeddings.patch_embeddings.projection",
      rules: [
        {
          foreign: "kernel",
          ours: "weight",
          transform: [{ kind: "permute", order: [3, 2, 0, 1] }],
        },
        { foreign: "bias", ours: "bias" },
      ],
    },
    ...blocks.flat(),
    { foreign: "Transformer.encoder_norm", ours: "vit.layernorm", rules: NORM },
    { foreign: "pre_logits", ours: "vit.pooler.dense", rules: LINEAR },
    { foreign: "head", ours: "classifier", rules: LINEAR },
  ];
}

/** ViTConfig. `classifier` is "gap" where there is no class token: the mean over patches is classified. */
export function vitJaxConfig(entries: Entries): FoundConfig {
  const [width, heads] = shapeOf(
    entries,
    "Transformer.encoderblock_0.MultiHeadDotProductAttention_1.query.kernel",
  );
  const [patch, , channels] = shapeOf(entries, "embedding.kernel");
  const hasToken = "cls" in entries;
  const tokens =
    shapeOf(entries, "Transformer.posembed_input.pos_embedding")[1] - (hasToken ? 1 : 0);
  const classes = entries["head.kernel"]?.shape[1] ?? 0;
  const representation = entries["pre_logits.kernel"]?.shape[1];
  const config = {
    architectures: ["ViTForImageClassification"],
    model_type: "vit",
    classifier: hasToken ? "token" : "gap",
    // Flax approximates by tanh.
    hidden_act: "gelu_pytorch_tanh",
    hidden_size: width,
    id2label: Object.fromEntries(
      Array.from({ length: classes }, (_, i) => [String(i), `LABEL_${i}`]),
    ),
    image_size: patch * Math.sqrt(tokens),
    intermediate_size: shapeOf(entries, "Transformer.encoderblock_0.MlpBlock_3.Dense_0.kernel")[1],
    layer_norm_eps: 1e-6,
    num_attention_heads: heads,
    num_channels: channels,
    num_hidden_layers: countLayers(entries),
    patch_size: patch,
    qkv_bias: true,
    ...(representation === undefined ? {} : { representation_size: representation }),
  };
  return { config, undetermined: [] };
}

/** Heads folded into one axis, then turned over: [D, H, d] → [D, H·d] → [H·d, D]. */
function fold(foreign: readonly number[], matrix: readonly number[]): readonly Transform[] {
  return [{ kind: "reshape", foreign, ours: matrix }, { kind: "transpose" }];
}

function countLayers(entries: Entries): number {
  const numbers = Object.keys(entries).map((name) =>
    Number(/^Transformer\.encoderblock_(\d+)\./.exec(name)?.[1] ?? -1),
  );
  return Math.max(...numbers) + 1;
}
