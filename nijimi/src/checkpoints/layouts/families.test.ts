/** A few names of each layout are enough to know it. */
import { expect, test } from "vitest";
import { float32 } from "../../tensor/tensor.ts";
import { entryOf, type Entry } from "../checkpoint.ts";
import { recognise } from "./families.ts";
import { unwrap } from "./unwrap.ts";

function named(...names: string[]): Record<string, Entry> {
  return Object.fromEntries(names.map((name) => [name, entryOf(float32([1], [0]))]));
}

test.each([
  [
    "stable-diffusion-3",
    "model.diffusion_model.joint_blocks.0.context_block.adaLN_modulation.1.bias",
  ],
  ["flux", "double_blocks.0.img_attn.norm.key_norm.scale", "single_blocks.3.linear1.weight"],
  ["wan", "blocks.0.cross_attn.norm_q.weight", "head.modulation"],
  [
    "stable-video-diffusion",
    "model.diffusion_model.input_blocks.1.0.time_stack.in_layers.0.weight",
  ],
  ["stable-cascade", "clip_txt_mapper.weight"],
  ["animatediff", "down_blocks.0.motion_modules.1.temporal_transformer.norm.weight"],
  ["score-sde", "all_modules.0.weight"],
  ["ddim", "temb.dense.0.weight", "down.0.block.0.norm1.weight"],
  ["vit-jax", "embedding/kernel", "Transformer/encoder_norm/scale"],
  ["unet-segmentation", "inc.double_conv.0.weight", "outc.conv.weight"],
  ["ip-adapter", "image_proj.proj.weight", "ip_adapter.1.to_k_ip.weight"],
  ["ip-adapter", "encoder_hid_proj.image_projection_layers.0.image_embeds.weight"],
])("%s", (family, ...names) => {
  expect(recognise(named(...names))?.id).toBe(family);
});

test("nothing is recognised in a file of something else", () => {
  expect(recognise(named("encoder.weight", "head.bias"))).toBeUndefined();
});

test("a network is found in what training code saves around it", () => {
  const names = ["temb.dense.0.weight", "down.0.block.0.norm1.weight"];
  const saved = named(...names.map((name) => `0.module.${name}`), "1.state.0.exp_avg");
  expect(unwrap(saved)).toMatchObject({ path: "0.module", outside: ["1.state.0.exp_avg"] });
  expect(Object.keys(unwrap(saved)?.entries ?? {})).toEqual(names);
});
